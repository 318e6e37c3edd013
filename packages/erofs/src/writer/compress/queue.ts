import { type CallOptions, isPromise, Pacer } from '@anole/bytes';
import type { Inode } from '../inode.ts';
import type { FileRange } from '../options.ts';
import { readInto } from '../read-exactly.ts';
import type { Dedupe } from './dedupe.ts';
import type { PiecePlace } from './file-builder.ts';
import { type Lane, PIECE_SIZE } from './lanes.ts';
import type { CompressionSettings } from './options.ts';
import { type CompressedPiece, type Piece, storedSizeMax, type TailMode } from './piece.ts';

/** Pieces go to a thread together until they have so many bytes, or are so many. */
const BATCH_SIZE = 2 * 1024 * 1024;
const BATCH_PIECES = 512;

/** Pieces in one lane, and whose they are. */
interface Batch {
  readonly lane: Lane;
  readonly owners: Inode[];
  readonly pieces: Piece[];
  /** Bytes in the lane, and what becomes of them at most. */
  bytes: number;
  stored: number;
  results: Promise<readonly CompressedPiece[]> | undefined;
}

/** Who takes pieces of files, in the order in which they were given to a queue. */
interface PieceTaker {
  add(inode: Inode, piece: CompressedPiece, variant: number, place: PiecePlace): Promise<void>;
  flush(): Promise<void>;
}

/** Takes files to the lanes: batches are under way at the same time, and their results are taken in order. */
export class Queue {
  readonly #settings: CompressionSettings;
  readonly #builder: PieceTaker;
  readonly #dedupe: Dedupe | undefined;
  readonly #call: CallOptions;
  readonly #total: number;
  readonly #pacer = new Pacer();
  readonly #running: Batch[] = [];
  #filling: Batch | undefined;
  #done = 0;

  constructor(
    settings: CompressionSettings,
    builder: PieceTaker,
    call: CallOptions,
    total: number,
    dedupe?: Dedupe,
  ) {
    this.#settings = settings;
    this.#builder = builder;
    this.#dedupe = dedupe;
    this.#call = call;
    this.#total = total;
  }

  /** Takes a file. Small ones are only read: then there is nothing to wait for. */
  add(inode: Inode, tails: TailMode, variant: number): Promise<void> | undefined {
    const batch = this.#filling;
    if (batch === undefined || !this.#fits(batch, inode.size)) {
      return this.#addSlowly(inode, tails, variant);
    }
    const read = this.#put(batch, inode, 0, inode.size, tails, variant);
    return read ?? (this.#isFull(batch) ? this.#start() : undefined);
  }

  /** Takes a part of a file, whose other parts come when they come. */
  addPart(inode: Inode, range: FileRange, variant: number): Promise<void> {
    return this.#addRange(inode, range, 'plain', variant);
  }

  #addSlowly(inode: Inode, tails: TailMode, variant: number): Promise<void> {
    return this.#addRange(inode, [0, inode.size], tails, variant);
  }

  async #addRange(
    inode: Inode,
    [start, end]: FileRange,
    tails: TailMode,
    variant: number,
  ): Promise<void> {
    for (let at = start; at < end; at += PIECE_SIZE) {
      const count = Math.min(PIECE_SIZE, end - at);
      if (this.#filling && !this.#fits(this.#filling, count)) await this.#start();
      this.#filling ??= await this.#begin();
      const tail = at + count === inode.size ? tails : undefined;
      await this.#put(this.#filling, inode, at, count, tail, variant);
      if (this.#isFull(this.#filling)) await this.#start();
    }
  }

  async drain(): Promise<void> {
    if (this.#filling) await this.#start();
    while (this.#running.length > 0) await this.#finish();
  }

  #fits({ lane, bytes, stored }: Batch, count: number): boolean {
    const { start, end } = lane.output;
    return (
      bytes + count <= PIECE_SIZE &&
      stored + storedSizeMax(count, this.#settings.largest) <= end - start
    );
  }

  #isFull({ bytes, pieces }: Batch): boolean {
    return bytes >= BATCH_SIZE || pieces.length >= BATCH_PIECES;
  }

  #put(
    batch: Batch,
    inode: Inode,
    at: number,
    count: number,
    tail: TailMode | undefined,
    variant: number,
  ): Promise<void> | undefined {
    const start = batch.lane.input.start + batch.bytes;
    const { blockSize } = this.#settings;
    batch.owners.push(inode);
    batch.pieces.push({ start, length: count, tail, variant });
    batch.bytes += count;
    batch.stored += (Math.ceil(count / blockSize) + 1) * blockSize;
    const { lane } = batch;
    if (lane.fetch?.(inode.node, at, start, count)) return undefined;
    const read = readInto(inode, at, lane.bytes.subarray(start, start + count));
    return isPromise(read) ? read : undefined;
  }

  /** A lane to fill: where none is free, the oldest batch is waited for. */
  async #begin(): Promise<Batch> {
    for (;;) {
      this.#call.signal?.throwIfAborted();
      const lane = this.#settings.lanes.acquire();
      if (lane) {
        return { lane, owners: [], pieces: [], bytes: 0, stored: 0, results: undefined };
      }
      await this.#finish();
    }
  }

  async #start(): Promise<void> {
    const batch = this.#filling!;
    this.#filling = undefined;
    const { lane, pieces } = batch;
    const results = Promise.resolve(lane.run(pieces, lane.output.start));
    // Whoever waits for it hears of a failure; until then nobody does.
    results.catch(() => {});
    batch.results = results;
    this.#running.push(batch);
    const turn = this.#pacer.turn();
    if (turn) await turn;
  }

  async #store(owner: Inode, lane: Lane, piece: Piece, done: CompressedPiece): Promise<void> {
    if (this.#dedupe) return await this.#dedupe.add(owner, lane, piece, done);
    const { start, length, variant } = piece;
    const fragmentAt = start + length - done.fragmentSize;
    const content = lane.bytes.subarray(start, fragmentAt);
    await this.#builder.add(owner, done, variant, { memory: lane.bytes, fragmentAt, content });
  }

  async #finish(): Promise<void> {
    const { lane, owners, pieces, results } = this.#running.shift()!;
    const done = await results!;
    for (const [index, owner] of owners.entries()) {
      const piece = pieces[index]!;
      await this.#store(owner, lane, piece, done[index]!);
      this.#done += piece.length;
    }
    await this.#builder.flush();
    lane.release();
    this.#call.onProgress?.({
      step: 'compress files',
      done: this.#done,
      total: this.#total,
      unit: 'bytes',
    });
  }
}
