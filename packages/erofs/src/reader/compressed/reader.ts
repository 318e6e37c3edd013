import { type BytesBudget, BytesCache, type Flow, flow, isPromise, wait } from '@anole/bytes';
import type { Extent } from '@anole/vfs';
import type { Decoders } from '../../codecs.ts';
import { damaged } from '../../errors.ts';
import { PCLUSTER_MAX_DECODED, PCLUSTER_MAX_SIZE } from '../../layout/compression.ts';
import { algorithmNames } from '../../layout/compression-config.ts';
import { INCOMPAT_ZERO_PADDING } from '../../layout/superblock.ts';
import type { InodeInfo } from '../inode.ts';
import type { ImageInfo } from '../superblock.ts';

import { decodePiece } from './decode.ts';
import type { DecodedStore } from './decoded-store.ts';
import { ExtentMap } from './extent-map.ts';
import { readCompressionHeader } from './header.ts';
import { IndexMap } from './index-map.ts';
import { INTERLACED, type Piece, PLAIN } from './piece.ts';

/** Most bytes of neighbouring pclusters that are read at once. */
const RUN = PCLUSTER_MAX_SIZE;

/** Pieces of memory for runs that are kept. */
const SPARE = 2;

/** Reads bytes of the image or of other inodes for compressed ones. */
export interface Storage {
  /** Bytes of the image, or of the device that has them; valid until the next read. */
  image(inode: InodeInfo, offset: number, length: number): Flow<Uint8Array>;
  /**
   * As `image`, in the memory that `take` gives, which has room for a megabyte; undefined where the
   * Source of those bytes cannot do that.
   */
  into(
    inode: InodeInfo,
    offset: number,
    length: number,
    take: () => Uint8Array,
  ): Uint8Array | undefined;
  /** Fills `target` with bytes of the packed inode. Gives how many there were: fewer only at its end. */
  packed(offset: number, target: Uint8Array): Flow<number>;
}

/** How the pieces of one file are found. */
type PieceMap = ExtentMap | IndexMap;

/** Pclusters that were read together. */
interface Run {
  start: number;
  bytes: Uint8Array;
  /** Memory of the reader's that `bytes` lie in, for this run only. */
  memory: Uint8Array | undefined;
}

/** What is stored of a piece, where it was read with those before it. */
function within({ start, bytes }: Run, piece: Piece): Uint8Array | undefined {
  const at = piece.start - start;
  const isHere = piece.kind === 'image' && at >= 0 && at + piece.size <= bytes.length;
  return isHere ? bytes.subarray(at, at + piece.size) : undefined;
}

function noRun(): Run {
  return { start: 0, bytes: new Uint8Array(0), memory: undefined };
}

/** Where all bytes of a piece go. */
interface Whole {
  readonly target: Uint8Array;
  /** Others who ask for them meanwhile may be given the same memory. */
  readonly stays: boolean;
}

/** Reads compressed files. */
export class CompressedReader {
  readonly #info: ImageInfo;
  readonly #storage: Storage;
  readonly #decoders: Required<Decoders>;
  readonly #cache: BytesCache;
  readonly #store: DecodedStore | undefined;
  /** Memory for runs that nobody uses at the moment. */
  readonly #spare: Uint8Array[] = [];
  readonly #maps = new WeakMap<InodeInfo, PieceMap>();

  /**
   * @param memory bytes of decoded pclusters to keep, or what is shared with others
   * @param store for more of them
   */
  constructor(
    info: ImageInfo,
    storage: Storage,
    decoders: Required<Decoders>,
    memory: number | BytesBudget,
    store?: DecodedStore,
  ) {
    this.#info = info;
    this.#storage = storage;
    this.#decoders = decoders;
    this.#cache = new BytesCache(memory);
    this.#store = store;
  }

  /** `length` bytes from `offset`, all of which must lie in the file. May alias the cache. */
  *read(inode: InodeInfo, offset: number, length: number): Flow<Uint8Array> {
    const pieces = yield* this.#pieces(inode, offset, offset + length);
    const [only] = pieces;
    // Holes and fragments may be far longer than what is wanted of them.
    const isStored = only?.kind === 'image' || only?.kind === 'inline';
    // The store would give a part of it without the rest.
    if (pieces.length === 1 && isStored && length < only.length && this.#store === undefined) {
      const bytes = yield* this.#kept(inode, pieces);
      return bytes.subarray(offset - only.offset, offset - only.offset + length);
    }
    const out = new Uint8Array(length);
    yield* this.#fill(inode, pieces, offset, out, true);
    return out;
  }

  /** As `read`, all of `target`, which belongs to the caller again afterwards. */
  *readInto(inode: InodeInfo, offset: number, target: Uint8Array): Flow<void> {
    const pieces = yield* this.#pieces(inode, offset, offset + target.length);
    yield* this.#fill(inode, pieces, offset, target, false);
  }

  /** All bytes of the only piece. */
  *#kept(inode: InodeInfo, pieces: readonly Piece[]): Flow<Uint8Array> {
    const run = noRun();
    try {
      return yield* this.#bytes(inode, pieces, 0, run);
    } finally {
      this.#takeBack(run);
    }
  }

  /** @param stays whether `out` keeps what is read into it, so that others may be given of it */
  *#fill(
    inode: InodeInfo,
    pieces: readonly Piece[],
    offset: number,
    out: Uint8Array,
    stays: boolean,
  ): Flow<void> {
    const run = noRun();
    try {
      for (let index = 0; index < pieces.length; index++) {
        const piece = pieces[index]!;
        const from = Math.max(offset, piece.offset);
        const end = Math.min(offset + out.length, piece.offset + piece.length);
        const target = out.subarray(from - offset, end - offset);
        if (piece.kind === 'hole') target.fill(0);
        else if (piece.kind === 'fragment') {
          yield* this.#fragment(inode, piece, from - piece.offset, target);
        } else if (!this.#isStored(inode, piece, from, target)) {
          // What is read wholly is not read again soon: it is not kept.
          const whole = target.length === piece.length ? { target, stays } : undefined;
          const bytes = yield* this.#bytes(inode, pieces, index, run, whole);
          if (bytes !== target) target.set(bytes.subarray(from - piece.offset, end - piece.offset));
        }
      }
    } finally {
      this.#takeBack(run);
    }
  }

  /** Fills `target` with bytes from a byte of the file on, where the store has them. */
  #isStored(inode: InodeInfo, piece: Piece, from: number, target: Uint8Array): boolean {
    if (this.#store === undefined) return false;
    const key = keyOf(piece, inode, this.#info.blockSize);
    return this.#store.readInto(key, from - piece.offset, target);
  }

  #takeBack({ memory }: Run): void {
    if (memory && this.#spare.length < SPARE) this.#spare.push(memory);
  }

  /** Ranges that are not holes. */
  *extents(inode: InodeInfo): Flow<readonly Extent[]> {
    const { size } = inode.stat;
    const extents: { offset: number; length: number }[] = [];
    const map = yield* this.#map(inode);
    if (map instanceof IndexMap) return [{ offset: 0, length: size }];
    for (let offset = 0; offset < size; ) {
      const piece = this.#checked(inode, yield* map.piece(offset), offset);
      const last = extents.at(-1);
      if (piece.kind !== 'hole') {
        if (last && last.offset + last.length === piece.offset) last.length += piece.length;
        else extents.push({ offset: piece.offset, length: piece.length });
      }
      offset = piece.offset + piece.length;
    }
    return extents;
  }

  /** Where the byte at `offset`, which the file must have, lies. */
  *piece(inode: InodeInfo, offset: number): Flow<Piece> {
    const map = yield* this.#map(inode);
    return this.#checked(inode, yield* map.piece(offset), offset);
  }

  /** Bytes after the inode and its attributes that tell where its data lie. */
  *indexSize(inode: InodeInfo): Flow<number> {
    if (inode.stat.size === 0) return 0;
    return (yield* this.#map(inode)).end - inode.xattrOffset - inode.xattrSize;
  }

  /** Byte of the inode's space after the indexes, and after the pcluster that may lie behind them. */
  *end(inode: InodeInfo): Flow<number> {
    // Not kept: whoever asks this goes over all inodes.
    const map = this.#maps.get(inode) ?? (yield* this.#makeMap(inode));
    const at = inode.stat.size - 1;
    const last = this.#checked(inode, yield* map.piece(at), at);
    return last.kind === 'inline' ? Math.max(map.end, last.start + last.size) : map.end;
  }

  *#pieces(inode: InodeInfo, offset: number, end: number): Flow<Piece[]> {
    const map = yield* this.#map(inode);
    const pieces: Piece[] = [];
    for (let at = offset; at < end; ) {
      const piece = this.#checked(inode, yield* map.piece(at), at);
      pieces.push(piece);
      at = piece.offset + piece.length;
    }
    return pieces;
  }

  *#map(inode: InodeInfo): Flow<PieceMap> {
    const known = this.#maps.get(inode);
    if (known !== undefined) return known;
    const map = yield* this.#makeMap(inode);
    this.#maps.set(inode, map);
    return map;
  }

  *#makeMap(inode: InodeInfo): Flow<PieceMap> {
    const header = yield* readCompressionHeader(inode, this.#info);
    const { extents } = header;
    return extents === undefined
      ? new IndexMap(inode, header, this.#info)
      : new ExtentMap(inode, header, this.#info, extents);
  }

  /** The piece of the byte `at`, with every number in bounds. */
  #checked(inode: InodeInfo, piece: Piece, at: number): Piece {
    const { offset, length, size, format, kind } = piece;
    const bad = (reason: string) =>
      damaged('EROFS_BAD_INODE', `Cannot read inode ${inode.nid}: ${reason}`, piece.start);
    if (!(offset <= at && at < offset + length)) throw bad(`byte ${at} lies in no pcluster`);
    if (kind === 'hole' || kind === 'fragment') return piece;
    if (size > PCLUSTER_MAX_SIZE) throw bad(`a pcluster has ${size} bytes`);
    if (length > PCLUSTER_MAX_DECODED) throw bad(`a pcluster holds ${length} bytes`);
    if (format === PLAIN || format === INTERLACED) {
      if (length > size) throw bad(`a plain pcluster of ${size} bytes holds ${length}`);
    } else if (format >= algorithmNames.length || !this.#mayUse(format)) {
      throw bad(`a pcluster is compressed by algorithm ${format}`);
    }
    return piece;
  }

  #mayUse(algorithm: number): boolean {
    return (this.#info.algorithms & (1 << algorithm)) !== 0;
  }

  *#fragment(inode: InodeInfo, piece: Piece, skip: number, target: Uint8Array): Flow<void> {
    const { length } = target;
    const place = piece.start + skip;
    if (BigInt(inode.nid) === this.#info.packedNid) {
      throw damaged(
        'EROFS_BAD_INODE',
        'Cannot read the packed inode: it holds fragments',
        inode.offset,
      );
    }
    const count = yield* this.#storage.packed(place, target);
    if (count === length) return;
    throw damaged(
      'EROFS_BAD_INODE',
      `Cannot read inode ${inode.nid}: its fragment of ${length} bytes at ${place} is not there`,
      inode.offset,
    );
  }

  /** All bytes of the piece at `index`; where `whole` says, unless they are here already. */
  *#bytes(
    inode: InodeInfo,
    pieces: readonly Piece[],
    index: number,
    run: Run,
    whole?: Whole,
  ): Flow<Uint8Array> {
    const steps = () => this.#decoded(inode, pieces, index, run, whole?.target);
    // Looking it up costs, too: those before read parts of it at most.
    if (whole && !whole.stays) return yield* steps();
    const key = keyOf(pieces[index]!, inode, this.#info.blockSize);
    const known = this.#cache.get(key);
    if (known !== undefined) return yield* wait(known);
    const made = this.#cache.make(key, whole === undefined, () => flow(steps));
    return yield* wait(made);
  }

  *#decoded(
    inode: InodeInfo,
    pieces: readonly Piece[],
    index: number,
    run: Run,
    target: Uint8Array | undefined,
  ): Flow<Uint8Array> {
    const piece = pieces[index]!;
    const output = target ?? new Uint8Array(piece.length);
    const input = within(run, piece) ?? (yield* this.#stored(inode, pieces, index, run));
    const done = decodePiece(piece, input, output, {
      nid: inode.nid,
      blockSize: this.#info.blockSize,
      decoders: this.#decoders,
      zeroPadding: (this.#info.featureIncompat & INCOMPAT_ZERO_PADDING) !== 0,
    });
    if (isPromise(done)) {
      // While it decodes, another read may take the memory that the run lies in.
      run.bytes = new Uint8Array(run.bytes);
      yield* wait(done);
    }
    // Plain ones are read as fast where they are.
    if (piece.kind === 'image' && piece.format !== PLAIN && piece.format !== INTERLACED) {
      this.#store?.keep(keyOf(piece, inode, this.#info.blockSize), output);
    }
    return output;
  }

  /** The pcluster as it is stored; its neighbours that are wanted next are read with it. */
  *#stored(inode: InodeInfo, pieces: readonly Piece[], index: number, run: Run): Flow<Uint8Array> {
    const piece = pieces[index]!;
    const { start, size, kind } = piece;
    if (kind === 'inline') return yield* inode.space.read(start, size, 'a pcluster');
    let end = start + size;
    for (let next = index + 1; next < pieces.length; next++) {
      const neighbour = pieces[next]!;
      if (neighbour.kind !== 'image' || neighbour.start !== end) break;
      if (end + neighbour.size - start > RUN) break;
      end += neighbour.size;
    }
    yield* this.#load(inode, start, end - start, run);
    return run.bytes.subarray(0, size);
  }

  *#load(inode: InodeInfo, start: number, length: number, run: Run): Flow<void> {
    const take = () => {
      run.memory ??= this.#spare.pop() ?? new Uint8Array(RUN);
      return run.memory;
    };
    run.bytes =
      this.#storage.into(inode, start, length, take) ??
      (yield* this.#storage.image(inode, start, length));
    run.start = start;
  }
}

/** The same for pieces of the same bytes, whichever file has them. */
function keyOf(piece: Piece, inode: InodeInfo, blockSize: number): string {
  const { kind, start, size, length, format, offset } = piece;
  const shift = format === INTERLACED ? offset % blockSize : 0;
  const space = kind === 'inline' ? `${inode.space.name}:` : '';
  return `${space}${start}:${size}:${length}:${format}:${shift}`;
}
