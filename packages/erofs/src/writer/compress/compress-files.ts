import { type CallOptions, isPromise } from '@anole/bytes';
import { Pacer } from '../../pause.ts';
import { storedRanges } from '../chunks.ts';
import type { Inode } from '../inode.ts';
import { readExactly } from '../read-exactly.ts';
import { FileBuilder } from './file-builder.ts';
import type { CompressionSettings } from './options.ts';
import { Packed } from './packed.ts';
import type { CompressedPiece, Piece, TailMode } from './piece.ts';
import type { Spool } from './spool.ts';

/** Bytes of a file that are compressed in one go. A fixed number: results depend on it. */
const PIECE_SIZE = 8 * 1024 * 1024;
/** Pieces go to a thread together until they have so many bytes, or are so many. */
const BATCH_SIZE = 1024 * 1024;
const BATCH_PIECES = 256;

/** What compressing gave beside what each inode now says. */
export interface CompressionResult {
  readonly spool: Spool;
  readonly packed: Inode | undefined;
}

/**
 * Compresses the files of a tree into a spool: each inode's `compressed` then says how, or is
 * undefined where compressing gains nothing. Results are the same whatever the concurrency.
 */
export async function compressFiles(
  inodes: readonly Inode[],
  settings: CompressionSettings,
  call: CallOptions,
): Promise<CompressionResult> {
  const spool = await settings.spool();
  const packed = settings.tails === 'fragment' ? new Packed(await settings.spool()) : undefined;
  const builder = new FileBuilder(settings, spool, packed);
  const files = inodes.filter((inode) => worthwhile(inode, settings));
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const queue = new Queue(settings, builder, call, total);
  for (const inode of files) await queue.add(inode, settings.tails);
  await queue.drain();
  if (packed === undefined || packed.size === 0) return { spool, packed: undefined };
  const inode = packed.inode(inodes.length + 1, inodes[0]!.mtime);
  const last = new Queue(settings, builder, call, inode.size);
  await last.add(inode, 'plain');
  await last.drain();
  return { spool, packed: inode };
}

function worthwhile(inode: Inode, { tails, piece }: CompressionSettings): boolean {
  const { stat, size, chunks } = inode;
  if (stat.type !== 'file') return false;
  // Holes cost next to nothing as they are; a file that is mostly data shrinks better.
  if (chunks !== undefined) {
    const stored = storedRanges(chunks, size).reduce((sum, { length }) => sum + length, 0);
    if (stored * 2 < size) return false;
    inode.chunks = undefined;
  }
  return size > (tails === 'plain' ? piece.blockSize : 0);
}

/** Pieces under way, whose results are taken in order. */
class Queue {
  readonly #settings: CompressionSettings;
  readonly #builder: FileBuilder;
  readonly #call: CallOptions;
  readonly #total: number;
  readonly #pacer = new Pacer();
  readonly #running: { owners: Inode[]; results: Promise<readonly CompressedPiece[]> }[] = [];
  #owners: Inode[] = [];
  #pieces: Piece[] = [];
  #bytes = 0;
  #done = 0;

  constructor(
    settings: CompressionSettings,
    builder: FileBuilder,
    call: CallOptions,
    total: number,
  ) {
    this.#settings = settings;
    this.#builder = builder;
    this.#call = call;
    this.#total = total;
  }

  async add(inode: Inode, tails: TailMode): Promise<void> {
    for (let at = 0; at < inode.size; at += PIECE_SIZE) {
      const count = Math.min(PIECE_SIZE, inode.size - at);
      const read = readExactly(inode, at, count);
      // A copy: pieces outlive the next read, and move to other threads.
      const bytes = new Uint8Array(isPromise(read) ? await read : read);
      this.#owners.push(inode);
      this.#pieces.push({ bytes, tail: at + count === inode.size ? tails : undefined });
      this.#bytes += count;
      if (this.#bytes >= BATCH_SIZE || this.#pieces.length >= BATCH_PIECES) await this.#start();
    }
  }

  async drain(): Promise<void> {
    if (this.#pieces.length > 0) await this.#start();
    while (this.#running.length > 0) await this.#finish();
  }

  async #start(): Promise<void> {
    this.#call.signal?.throwIfAborted();
    const { compress, piece, concurrency } = this.#settings;
    const results = Promise.resolve(compress(this.#pieces, piece));
    // Whoever waits for it hears of a failure; until then nobody does.
    results.catch(() => {});
    this.#running.push({ owners: this.#owners, results });
    this.#owners = [];
    this.#pieces = [];
    this.#bytes = 0;
    // One batch more than there are threads: none waits while this one reads and writes.
    while (this.#running.length > concurrency) await this.#finish();
  }

  async #finish(): Promise<void> {
    const { owners, results } = this.#running.shift()!;
    const pieces = await results;
    for (const [index, owner] of owners.entries()) {
      await this.#builder.add(owner, pieces[index]!);
      this.#done += lengthOf(pieces[index]!);
    }
    const turn = this.#pacer.turn();
    if (turn) await turn;
    this.#call.onProgress?.({
      step: 'compress files',
      done: this.#done,
      total: this.#total,
      unit: 'bytes',
    });
  }
}

function lengthOf({ extents, fragment }: CompressedPiece): number {
  let length = fragment?.length ?? 0;
  for (let extent = 0; extent < extents.length; extent += 3) length += extents[extent]!;
  return length;
}
