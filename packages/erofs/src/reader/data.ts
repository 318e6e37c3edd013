import { type Flow, type Source, viewOf, wait } from '@anole/bytes';
import type { Extent } from '@anole/vfs';
import { damaged, ErofsError } from '../errors.ts';
import {
  BLOCK_MAP_ENTRY_SIZE,
  CHUNK_48BIT,
  CHUNK_BITS_MASK,
  CHUNK_HOLE,
  CHUNK_INDEX_SIZE,
  CHUNK_INDEXES,
  ChunkIndex,
} from '../layout/chunk.ts';
import { layouts, NO_BLOCK } from '../layout/inode.ts';
import { type ImageDevice, type Place, resolve } from './devices.ts';
import type { InodeInfo } from './inode.ts';
import type { Metadata } from './metadata.ts';
import type { ImageInfo } from './superblock.ts';

/** Bytes that lie together: at an offset of a device, or nowhere (a hole). */
interface Run {
  readonly length: number;
  /** 0 is the image itself. Undefined: zeros. */
  readonly device: number | undefined;
  readonly offset: number;
}

/** Reads what inodes hold: files, link targets and directories alike. */
export class DataReader {
  readonly #metadata: Metadata;
  readonly #info: ImageInfo;
  readonly #table: readonly ImageDevice[];
  readonly #devices: readonly Source[];
  readonly #deviceMask: number;

  constructor(
    metadata: Metadata,
    info: ImageInfo,
    table: readonly ImageDevice[],
    devices: readonly Source[],
  ) {
    this.#metadata = metadata;
    this.#info = info;
    this.#table = table;
    this.#devices = devices;
    // Source: Linux fs/erofs/super.c: identifiers use the bits that the number of devices needs.
    this.#deviceMask = 2 ** Math.ceil(Math.log2(info.extraDevices + 1)) - 1;
  }

  /**
   * Bytes of a file, short only at its end. May alias the image's memory.
   *
   * @throws ErofsError `EROFS_COMPRESSED`, `EROFS_OUT_OF_RANGE`, `EROFS_BAD_INODE`, `EROFS_NO_DEVICE`
   */
  *read(inode: InodeInfo, offset: number, length: number): Flow<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, inode.stat.size - offset));
    if (wanted === 0) return new Uint8Array(0);
    const first = yield* this.#longRun(inode, offset, wanted);
    if (first.length === wanted) return yield* this.#bytes(inode, first);
    const out = new Uint8Array(wanted);
    for (let done = 0; done < wanted; ) {
      const run = yield* this.#longRun(inode, offset + done, wanted - done);
      out.set(yield* this.#bytes(inode, run), done);
      done += run.length;
    }
    return out;
  }

  /** Ranges that are not holes. */
  *extents(inode: InodeInfo): Flow<readonly Extent[]> {
    const { size } = inode.stat;
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
        return { length, device: 0, offset: start + offset - body };
      }
      case layouts.chunked:
        return yield* this.#chunk(inode, offset, length);
      default:
        throw new ErofsError(
          'EROFS_COMPRESSED',
          `Cannot read inode ${inode.nid}: compressed files are not supported yet`,
          { details: { nid: inode.nid, offset: inode.offset } },
        );
    }
  }

  #flat({ data }: InodeInfo, offset: number, length: number): Run {
    if (data === NO_BLOCK) return { length, device: undefined, offset: 0 };
    const place = this.#resolve(data * this.#info.blockSize + offset);
    return { length, ...place };
  }

  #resolve(offset: number): Place {
    return resolve(offset, this.#info, this.#table, this.#metadata.source);
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
    const format = inode.data & 0xffff;
    const bits = format & CHUNK_BITS_MASK;
    if ((format & ~(CHUNK_BITS_MASK | CHUNK_INDEXES)) !== 0) {
      const what = (format & CHUNK_48BIT) !== 0 ? '48-bit chunks are' : 'its chunk format is';
      throw new ErofsError(
        'EROFS_UNSUPPORTED',
        `Cannot read inode ${inode.nid}: ${what} not supported yet`,
        { details: { nid: inode.nid, format } },
      );
    }
    const { blockSize } = this.#info;
    const chunkSize = blockSize * 2 ** bits;
    const index = Math.floor(offset / chunkSize);
    const within = offset - index * chunkSize;
    const run = Math.min(length, chunkSize - within);
    const unit = (format & CHUNK_INDEXES) !== 0 ? CHUNK_INDEX_SIZE : BLOCK_MAP_ENTRY_SIZE;
    const table = Math.ceil((inode.xattrOffset + inode.xattrSize) / unit) * unit;
    const entry = yield* this.#metadata.read(table + index * unit, unit, `chunk ${index}`);
    const { block, device } = this.#address(entry, unit);
    if (block === CHUNK_HOLE) return { length: run, device: undefined, offset: 0 };
    const start = block * blockSize + within;
    return { length: run, ...(device === 0 ? this.#resolve(start) : { device, offset: start }) };
  }

  #address(entry: Uint8Array, unit: number): { block: number; device: number } {
    if (unit === BLOCK_MAP_ENTRY_SIZE)
      return { block: viewOf(entry).getUint32(0, true), device: 0 };
    const { block, deviceId } = ChunkIndex.decode(entry);
    return { block, device: deviceId & this.#deviceMask };
  }

  *#bytes(inode: InodeInfo, { device, offset, length }: Run): Flow<Uint8Array> {
    if (device === undefined) return new Uint8Array(length);
    const source = device === 0 ? this.#metadata.source : this.#devices[device - 1];
    if (source === undefined) {
      throw new ErofsError(
        'EROFS_NO_DEVICE',
        `Cannot read inode ${inode.nid}: its data lie on device ${device}, which was not given`,
        { details: { nid: inode.nid, device } },
      );
    }
    if (offset + length > source.size) {
      throw damaged(
        'EROFS_OUT_OF_RANGE',
        `Cannot read inode ${inode.nid}: its data end outside the ${source.size} bytes there are`,
        offset,
      );
    }
    return yield* wait(source.read(offset, length));
  }
}
