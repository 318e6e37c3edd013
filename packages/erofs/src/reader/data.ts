import { type BytesBudget, checkRange, type Flow, type Source, wait } from '@anole/bytes';
import type { Extent } from '@anole/vfs';
import type { Decoders } from '../codecs.ts';
import { damaged, ErofsError } from '../errors.ts';
import { algorithmNames } from '../layout/compression-config.ts';
import { layouts, NO_BLOCK } from '../layout/inode.ts';
import { nidOf } from '../layout/nid.ts';
import { chunkAddress, chunkTable } from './chunk-table.ts';
import type { DecodedStore } from './compressed/decoded-store.ts';
import { INTERLACED } from './compressed/piece.ts';
import { CompressedReader } from './compressed/reader.ts';
import { type ImageDevice, type Place, resolve } from './devices.ts';
import { type InodeInfo, readInode } from './inode.ts';
import type { Mapping } from './mapping.ts';
import type { Spaces } from './spaces.ts';
import type { ImageInfo } from './superblock.ts';

/** Bytes of metadata read at once. */
const PIECE = 64 * 1024;

/** Bytes that lie together: at an offset of a device, or nowhere (a hole). */
interface Run {
  readonly length: number;
  /** 0 is the image itself; or with the inode. Undefined: zeros. */
  readonly device: number | 'inode' | undefined;
  readonly offset: number;
}

export interface DataOptions {
  readonly devices: readonly Source[];
  readonly decoders: Required<Decoders>;
  /** Bytes of decoded pclusters to keep, or what is shared with others. */
  readonly decodedCache: number | BytesBudget;
  readonly decodedStore?: DecodedStore | undefined;
}

/** Reads what inodes hold: files, link targets and directories alike. */
export class DataReader {
  readonly #spaces: Spaces;
  readonly #info: ImageInfo;
  readonly #table: readonly ImageDevice[];
  readonly #devices: readonly Source[];
  readonly #deviceMask: number;
  readonly #compressed: CompressedReader;
  #packed: InodeInfo | undefined;

  constructor(
    spaces: Spaces,
    info: ImageInfo,
    table: readonly ImageDevice[],
    { devices, decoders, decodedCache, decodedStore }: DataOptions,
  ) {
    this.#spaces = spaces;
    this.#info = info;
    this.#table = table;
    this.#devices = devices;
    // Source: Linux fs/erofs/super.c: identifiers use the bits that the number of devices needs.
    this.#deviceMask = 2 ** Math.ceil(Math.log2(info.extraDevices + 1)) - 1;
    const storage = {
      image: (inode: InodeInfo, offset: number, length: number) =>
        this.#bytes(inode, { length, ...this.#resolve(offset) }),
      into: (inode: InodeInfo, offset: number, length: number, take: () => Uint8Array) =>
        this.#into(inode, offset, length, take),
      packed: (offset: number, target: Uint8Array) => this.#readPacked(offset, target),
    };
    this.#compressed = new CompressedReader(info, storage, decoders, decodedCache, decodedStore);
  }

  /**
   * Bytes of a file, short only at its end. May alias the image's memory.
   *
   * @throws ErofsError `EROFS_OUT_OF_RANGE`, `EROFS_BAD_INODE`, `EROFS_BAD_DATA`, `EROFS_NO_DEVICE`
   */
  *read(inode: InodeInfo, offset: number, length: number): Flow<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, inode.stat.size - offset));
    if (wanted === 0) return new Uint8Array(0);
    if (isCompressed(inode)) return yield* this.#compressed.read(inode, offset, wanted);
    const first = yield* this.#longRun(inode, offset, wanted);
    if (first.length === wanted) return yield* this.#bytes(inode, first);
    const out = new Uint8Array(wanted);
    yield* this.readInto(inode, offset, out);
    return out;
  }

  /** As `read`, into `target`. Gives how many bytes there were. */
  *readInto(inode: InodeInfo, offset: number, target: Uint8Array): Flow<number> {
    const wanted = Math.max(0, Math.min(target.length, inode.stat.size - offset));
    const room = target.subarray(0, wanted);
    if (wanted > 0 && isCompressed(inode)) {
      yield* this.#compressed.readInto(inode, offset, room);
      return wanted;
    }
    for (let done = 0; done < wanted; ) {
      const run = yield* this.#longRun(inode, offset + done, wanted - done);
      yield* this.#fill(inode, run, room.subarray(done, done + run.length));
      done += run.length;
    }
    return wanted;
  }

  /**
   * As `readInto` where nothing must be waited for: of data in one run, from Sources that answer at once and metadata that
   * are here. Undefined elsewhere. Most files are so, and there are very many: steps of generators take longer than reading.
   */
  readAtOnce(inode: InodeInfo, offset: number, target: Uint8Array): number | undefined {
    if (!this.isInOneRun(inode)) return undefined;
    const { size } = inode.stat;
    const wanted = Math.max(0, Math.min(target.length, size - offset));
    const tail = inode.layout === layouts.inline ? size % this.#info.blockSize : 0;
    const flat = Math.min(Math.max(size - tail - offset, 0), wanted);
    if (flat > 0) {
      const place = this.#resolve(startOf(inode) * this.#info.blockSize + offset);
      const source = this.#source(inode, place.device, place.offset, flat);
      if (source.readInto === undefined) return undefined;
      source.readInto(place.offset, flat === target.length ? target : target.subarray(0, flat));
    }
    if (flat === wanted) return wanted;
    const start = inode.xattrOffset + inode.xattrSize;
    this.#checkTail(inode, start, tail);
    const at = start + offset + flat - (size - tail);
    const piece = inode.space.pieceAt(at, wanted - flat);
    if (piece === undefined) return undefined;
    const from = at - piece.start;
    target.set(piece.bytes.subarray(from, from + wanted - flat), flat);
    return wanted;
  }

  /** Whether all bytes of an inode lie one behind the other, but for its tail, and none is in a hole. */
  isInOneRun(inode: InodeInfo): boolean {
    const { layout, stat } = inode;
    if (stat.size === 0 || (layout !== layouts.plain && layout !== layouts.inline)) return false;
    return (layout === layouts.inline && stat.size < this.#info.blockSize) || !isHole(inode);
  }

  /** Ranges that are not holes. */
  *extents(inode: InodeInfo): Flow<readonly Extent[]> {
    const { size } = inode.stat;
    if (isCompressed(inode)) return yield* this.#compressed.extents(inode);
    const extents: { offset: number; length: number }[] = [];
    for (let offset = 0; offset < size; ) {
      const run = yield* this.#run(inode, offset, size - offset);
      const last = extents.at(-1);
      if (run.device !== undefined) {
        if (last && last.offset + last.length === offset) last.length += run.length;
        else extents.push({ offset, length: run.length });
      }
      offset += run.length;
    }
    return extents;
  }

  /**
   * Where the byte at `offset` lies, with all that lies with it.
   *
   * @throws ErofsError as `read`; AnoleError `SOURCE_OUT_OF_RANGE`
   */
  *map(inode: InodeInfo, offset: number): Flow<Mapping> {
    const { size } = inode.stat;
    checkRange(offset, 1, size);
    if (isCompressed(inode)) {
      const piece = yield* this.#compressed.piece(inode, offset);
      const kind =
        piece.kind === 'image' ? 'device' : piece.kind === 'inline' ? 'inode' : piece.kind;
      const place = kind === 'device' ? this.#resolve(piece.start) : undefined;
      return {
        offset: piece.offset,
        length: piece.length,
        kind,
        device: place?.device ?? 0,
        start: place?.offset ?? piece.start,
        size: piece.size,
        algorithm: algorithmNames[piece.format],
        partial: piece.partial,
        interlaced: piece.format === INTERLACED,
      };
    }
    const { length, device, offset: start } = yield* this.#run(inode, offset, size - offset);
    const kind = device === undefined ? 'hole' : device === 'inode' ? 'inode' : 'device';
    return {
      offset,
      length,
      kind,
      device: typeof device === 'number' ? device : 0,
      start,
      size: kind === 'hole' ? 0 : length,
      algorithm: undefined,
      partial: false,
      interlaced: false,
    };
  }

  /** Bytes of the inode's space, from its end on, that tell where its data lie. */
  *indexSize(inode: InodeInfo): Flow<number> {
    if (isCompressed(inode)) return yield* this.#compressed.indexSize(inode);
    if (inode.layout !== layouts.chunked) return 0;
    const { start, unit, chunkSize } = chunkTable(inode, this.#info.blockSize);
    const end = start + Math.ceil(inode.stat.size / chunkSize) * unit;
    return end - inode.xattrOffset - inode.xattrSize;
  }

  /**
   * Reads what lies behind an inode and its attributes: what tells where its data lie, and data that lie there
   * themselves. Linux reads both as metadata.
   */
  *loadBehind(inode: InodeInfo): Flow<void> {
    const { size } = inode.stat;
    if (size === 0) return;
    const start = inode.xattrOffset + inode.xattrSize;
    const end = isCompressed(inode)
      ? yield* this.#compressed.end(inode)
      : inode.layout === layouts.inline
        ? start + (size % this.#info.blockSize)
        : start + (yield* this.indexSize(inode));
    for (let at = start; at < end; at += PIECE) {
      yield* inode.space.read(at, Math.min(PIECE, end - at), 'what lies behind an inode');
    }
  }

  /** As `#run`, over chunks that lie one after the other. */
  *#longRun(inode: InodeInfo, offset: number, length: number): Flow<Run> {
    let run = yield* this.#run(inode, offset, length);
    while (run.length < length && inode.layout === layouts.chunked) {
      const next = yield* this.#run(inode, offset + run.length, length - run.length);
      const together =
        next.device === run.device &&
        (run.device === undefined || next.offset === run.offset + run.length);
      if (!together) break;
      run = { ...run, length: run.length + next.length };
    }
    return run;
  }

  /** Where the bytes from `offset` lie; at least one and at most `length` of them. */
  *#run(inode: InodeInfo, offset: number, length: number): Flow<Run> {
    const { blockSize } = this.#info;
    const { size } = inode.stat;
    switch (inode.layout) {
      case layouts.plain:
        return this.#flat(inode, offset, length);
      case layouts.inline: {
        // A file of whole blocks has an empty tail.
        const body = size - (size % blockSize);
        if (offset < body) return this.#flat(inode, offset, Math.min(length, body - offset));
        const start = inode.xattrOffset + inode.xattrSize;
        this.#checkTail(inode, start, size - body);
        return { length, device: 'inode', offset: start + offset - body };
      }
      case layouts.chunked:
        return yield* this.#chunk(inode, offset, length);
      default:
        throw damaged(
          'EROFS_BAD_INODE',
          `Cannot read inode ${inode.nid}: its data layout is ${inode.layout}`,
          inode.offset,
        );
    }
  }

  /** The inode in which fragments lie. */
  *packedInode(): Flow<InodeInfo> {
    const nid = this.#info.packedNid;
    if (nid === undefined) {
      throw damaged('EROFS_BAD_INODE', 'Cannot read a fragment: the image has no packed inode', 0);
    }
    this.#packed ??= yield* readInode(
      this.#spaces,
      this.#info,
      nidOf(Number(nid & 0xffffffffn), Number(nid >> 32n)),
    );
    return this.#packed;
  }

  *#readPacked(offset: number, target: Uint8Array): Flow<number> {
    return yield* this.readInto(yield* this.packedInode(), offset, target);
  }

  #flat(inode: InodeInfo, offset: number, length: number): Run {
    if (isHole(inode)) return { length, device: undefined, offset: 0 };
    const place = this.#resolve(startOf(inode) * this.#info.blockSize + offset);
    return { length, ...place };
  }

  #resolve(offset: number): Place {
    return resolve(offset, this.#info, this.#table, this.#spaces.image.source);
  }

  /** Linux maps one block for a tail: one that crosses a block is damage. */
  #checkTail(inode: InodeInfo, start: number, length: number): void {
    const { blockSize } = this.#info;
    if ((start % blockSize) + length <= blockSize) return;
    throw damaged(
      'EROFS_BAD_INODE',
      `Cannot read inode ${inode.nid}: its last ${length} bytes cross a block`,
      start,
    );
  }

  *#chunk(inode: InodeInfo, offset: number, length: number): Flow<Run> {
    const table = chunkTable(inode, this.#info.blockSize);
    const { unit, chunkSize } = table;
    const index = Math.floor(offset / chunkSize);
    const within = offset - index * chunkSize;
    const run = Math.min(length, chunkSize - within);
    const entry = yield* inode.space.read(table.start + index * unit, unit, `chunk ${index}`);
    const { block, device } = chunkAddress(entry, table);
    if (block === undefined) return { length: run, device: undefined, offset: 0 };
    const start = block * this.#info.blockSize + within;
    return { length: run, ...this.#place(device & this.#deviceMask, start) };
  }

  /** Without devices, all are behind the image in one file where they share its addresses, as in Linux. */
  #place(device: number, offset: number): Place {
    if (device === 0) return this.#resolve(offset);
    const unifiedBlock = this.#table[device - 1]?.unifiedBlock ?? 0;
    if (this.#devices.length > 0 || unifiedBlock === 0) return { device, offset };
    const behind = unifiedBlock * this.#info.blockSize + offset;
    return behind < this.#spaces.image.source.size
      ? { device: 0, offset: behind }
      : { device, offset };
  }

  /** Bytes of the image in memory of the caller's; undefined where its Source cannot do that. */
  #into(
    inode: InodeInfo,
    offset: number,
    length: number,
    take: () => Uint8Array,
  ): Uint8Array | undefined {
    const place = this.#resolve(offset);
    const source = this.#source(inode, place.device, place.offset, length);
    if (source.readInto === undefined) return undefined;
    const target = take().subarray(0, length);
    source.readInto(place.offset, target);
    return target;
  }

  /** The Source of a device, which has these bytes. */
  #source(inode: InodeInfo, device: number, offset: number, length: number): Source {
    const source = device === 0 ? this.#spaces.image.source : this.#devices[device - 1];
    if (source === undefined) {
      throw new ErofsError(
        'EROFS_NO_DEVICE',
        `Cannot read inode ${inode.nid}: its data lie on device ${device}, which was not given`,
        { details: { nid: inode.nid, device } },
      );
    }
    if (offset + length <= source.size) return source;
    throw damaged(
      'EROFS_OUT_OF_RANGE',
      `Cannot read inode ${inode.nid}: its data end outside the ${source.size} bytes there are`,
      offset,
    );
  }

  *#fill(inode: InodeInfo, run: Run, target: Uint8Array): Flow<void> {
    const { device, offset, length } = run;
    const source =
      typeof device === 'number' ? this.#source(inode, device, offset, length) : undefined;
    if (device === undefined) target.fill(0);
    else if (source?.readInto) source.readInto(offset, target);
    else target.set(yield* this.#bytes(inode, run));
  }

  *#bytes(inode: InodeInfo, { device, offset, length }: Run): Flow<Uint8Array> {
    if (device === undefined) return new Uint8Array(length);
    if (device === 'inode') return yield* inode.space.read(offset, length, 'the end of a file');
    const source = this.#source(inode, device, offset, length);
    return yield* wait(source.read(offset, length));
  }
}

/** Whether blocks of an inode lie nowhere. */
function isHole({ data, dataHigh }: InodeInfo): boolean {
  return data === NO_BLOCK && (dataHigh === 0 || dataHigh === 0xffff);
}

/** First block of an inode's data. */
function startOf({ data, dataHigh }: InodeInfo): number {
  return dataHigh * 2 ** 32 + data;
}

export function isCompressed({ layout }: InodeInfo): boolean {
  return layout === layouts.compressedFull || layout === layouts.compressedCompact;
}
