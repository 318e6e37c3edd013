import { type CallOptions, isPromise, Pacer } from '@anole/bytes';
import { compareBytes } from '../../compare-bytes.ts';
import { NO_BLOCK } from '../../layout/inode.ts';
import { xxh32 } from '../../xxh32.ts';
import { cannotStore } from '../cannot-store.ts';
import { type Chunks, storedRanges, TABLE_CHUNK_MAX } from '../chunks.ts';
import type { Spool } from '../compress/spool.ts';
import { ContentIndex } from '../content-index.ts';
import type { Inode } from '../inode.ts';
import { readInto } from '../read-exactly.ts';
import { CHUNK_SIZE_MAX } from './options.ts';

/** Bytes gathered before they are written. */
const GATHERED = 1024 * 1024;
/** Above so many chunks a file gets larger ones, and beyond the second bound it is refused. */
const CHUNKS_WANTED = 2 ** 20;
const CHUNKS_MAX = 2 ** 24;

/** Where chunks go. */
export interface ChunkOutput {
  readonly spool: Spool;
  /** Blocks in use already. */
  readonly blocks: number;
  readonly blockSize: number;
  /** Bytes of a chunk. */
  readonly size: number;
  /** Blocks whose multiples chunks begin at. */
  readonly unit: number;
  /** Of the device table, 0 for the image itself. */
  readonly device: number;
}

/**
 * Stores files in chunks, equal ones once, and none for what is zeros: each inode's `chunks` then
 * says where they are. Returns how many blocks of the output are in use.
 */
export async function chunkFiles(
  files: readonly Inode[],
  output: ChunkOutput,
  { signal, onProgress }: CallOptions,
): Promise<number> {
  const store = new ChunkStore(output);
  const pacer = new Pacer();
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  for (const inode of files) {
    const size = chunkSizeOf(inode, output.size);
    const blocks = new Uint32Array(Math.ceil(inode.size / size)).fill(NO_BLOCK);
    for (const index of chunksWithData(inode, size)) {
      signal?.throwIfAborted();
      const turn = pacer.turn();
      if (turn) await turn;
      const offset = index * size;
      blocks[index] = await store.put(inode, offset, Math.min(size, inode.size - offset));
      onProgress?.({ step: 'store chunks', done: done + offset, total, unit: 'bytes' });
    }
    done += inode.size;
    inode.chunks = placedChunks(blocks, size, output);
  }
  await store.flush();
  return store.blocks;
}

/** Numbers of the chunks of a file that are not holes, in order. */
function* chunksWithData({ chunks, size }: Inode, chunkSize: number): Generator<number> {
  let next = 0;
  const whole = [{ offset: 0, length: size }];
  for (const { offset, length } of chunks ? storedRanges(chunks, size) : whole) {
    next = Math.max(next, Math.floor(offset / chunkSize));
    for (const end = Math.ceil((offset + length) / chunkSize); next < end; next++) yield next;
  }
}

function chunkSizeOf({ size, path }: Inode, wanted: number): number {
  let chunkSize = wanted;
  while (size / chunkSize > CHUNKS_WANTED && chunkSize < CHUNK_SIZE_MAX) chunkSize *= 2;
  if (size / chunkSize <= CHUNKS_MAX) return chunkSize;
  throw cannotStore(path, `its ${size} bytes would be more than ${CHUNKS_MAX} chunks`);
}

/** Chunks in as short a table as tells where they are: neighbours that lie together become one. */
export function placedChunks(
  blocks: Uint32Array,
  chunkSize: number,
  { blockSize, device }: { readonly blockSize: number; readonly device: number },
): Chunks {
  let places = blocks;
  let size = chunkSize;
  while (places.length > 1 && size < TABLE_CHUNK_MAX && inPairs(places, size / blockSize)) {
    places = places.filter((_, index) => index % 2 === 0);
    size *= 2;
  }
  const bits = Math.log2(size / blockSize);
  return { size, bits, count: places.length, stored: [], places: { device, blocks: places } };
}

function inPairs(blocks: Uint32Array, step: number): boolean {
  for (let index = 1; index < blocks.length; index += 2) {
    const before = blocks[index - 1]!;
    const wanted = before === NO_BLOCK ? NO_BLOCK : before + step;
    if (blocks[index] !== wanted) return false;
  }
  return true;
}

/** Takes chunks, writes each content once, and tells its first block. */
class ChunkStore {
  readonly #spool: Spool;
  readonly #blockSize: number;
  /** Bytes whose multiples chunks begin at. */
  readonly #unit: number;
  readonly #known = new ContentIndex();
  /** What is not written yet lies at its start; behind it a chunk is read. */
  #buffer: Uint8Array;
  #used = 0;
  #written: number;

  constructor({ spool, blocks, blockSize, size, unit }: ChunkOutput) {
    this.#spool = spool;
    this.#blockSize = blockSize;
    this.#unit = unit * blockSize;
    this.#buffer = new Uint8Array(GATHERED + size);
    this.#written = blocks * blockSize;
  }

  /** In use, those at the start among them. */
  get blocks(): number {
    return (this.#written + this.#used) / this.#blockSize;
  }

  /** The block at which bytes of a file lie, or NO_BLOCK where they are zeros. */
  async put(inode: Inode, offset: number, length: number): Promise<number> {
    const room = await this.#room(length);
    const read = readInto(inode, offset, room);
    if (isPromise(read)) await read;
    if (isZero(room)) return NO_BLOCK;
    const hash = xxh32(room);
    for (const block of this.#known.find(hash, length)) {
      if (await this.#holds(block, room)) return block;
    }
    const block = this.blocks;
    if (block + length / this.#blockSize >= NO_BLOCK) {
      throw cannotStore(inode.path, 'the chunks take more than 2^32 blocks');
    }
    this.#known.add(hash, length, block);
    const end = Math.ceil((this.#used + length) / this.#blockSize) * this.#blockSize;
    this.#buffer.fill(0, this.#used + length, end);
    this.#used = end;
    return block;
  }

  async flush(): Promise<void> {
    if (this.#used === 0) return;
    await this.#spool.write(this.#written, this.#buffer.subarray(0, this.#used));
    this.#written += this.#used;
    this.#used = 0;
  }

  async #room(length: number): Promise<Uint8Array> {
    if (this.#used >= GATHERED || this.#start + length > this.#buffer.length) await this.flush();
    const start = this.#start;
    if (start + length > this.#buffer.length) {
      const larger = new Uint8Array(GATHERED + start + length);
      larger.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = larger;
    }
    this.#buffer.fill(0, this.#used, start);
    this.#used = start;
    return this.#buffer.subarray(start, start + length);
  }

  /** Where the next chunk may begin. */
  get #start(): number {
    return Math.ceil((this.#written + this.#used) / this.#unit) * this.#unit - this.#written;
  }

  async #holds(block: number, bytes: Uint8Array): Promise<boolean> {
    const at = block * this.#blockSize - this.#written;
    const there =
      at >= 0
        ? this.#buffer.subarray(at, at + bytes.length)
        : await this.#spool.read(block * this.#blockSize, bytes.length);
    return compareBytes(there, bytes) === 0;
  }
}

function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}
