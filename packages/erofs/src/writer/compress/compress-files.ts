import { type CallOptions, isPromise, Pacer } from '@anole/bytes';
import { storedRanges } from '../chunks.ts';
import type { Inode } from '../inode.ts';
import type { FileRange, WantedRanges } from '../options.ts';
import { readInto } from '../read-exactly.ts';
import type { StoredData } from '../stored.ts';
import { Dedupe } from './dedupe.ts';
import { FileBuilder, type PiecePlace } from './file-builder.ts';
import { type CutFile, cutFile, FileParts } from './file-parts.ts';
import { type Lane, PIECE_SIZE } from './lanes.ts';
import type { CompressionSettings } from './options.ts';
import { Packed, WHOLE_FRAGMENT_MAX } from './packed.ts';
import { type CompressedPiece, type Piece, storedSizeMax, type TailMode } from './piece.ts';
import { Reuse } from './reuse.ts';
import { SharedBlocks } from './shared-blocks.ts';
import type { Spool } from './spool.ts';

/** Pieces go to a thread together until they have so many bytes, or are so many. */
const BATCH_SIZE = 2 * 1024 * 1024;
const BATCH_PIECES = 512;

/**
 * Compresses the files of a tree: each inode's `compressed` then says how, or is undefined where
 * compressing gains nothing. Results are the same however many lanes there are.
 *
 * @param spool takes the blocks
 * @param measure is told of the packed inode before that is compressed
 * @param packedHead what the packed inode begins with
 * @param ranges what is wanted of files first: it is stored before all else
 */
export async function compressFiles(
  inodes: readonly Inode[],
  settings: CompressionSettings,
  spool: Spool,
  measure: (packed: Inode) => void,
  call: CallOptions,
  packedHead?: Uint8Array,
  ranges?: WantedRanges,
): Promise<StoredData> {
  const { tails } = settings;
  const packed = tails === 'fragment' ? new Packed(await settings.spool()) : undefined;
  if (packedHead) await packed?.place(packedHead);
  const ends = tails === 'inline' ? await settings.spool() : undefined;
  const shared = settings.shares ? new SharedBlocks(spool, settings.blockSize) : undefined;
  const builder = new FileBuilder(settings, { blocks: spool, ends, packed, shared });
  const chosen = Uint16Array.from(inodes, (inode) => (variantOf(inode, settings) ?? -1) + 1);
  await takeOver(inodes, chosen, settings, builder, call);
  await storeCut(inodes, chosen, settings, builder, call, ranges);
  const total = inodes.reduce((sum, { size }, at) => sum + (chosen[at] === 0 ? 0 : size), 0);
  const dedupe = builder.known && new Dedupe(builder, builder.known, settings);
  const queue = new Queue(settings, builder, call, total, dedupe);
  for (const [at, inode] of inodes.entries()) {
    if (chosen[at] === 0) continue;
    const variant = chosen[at]! - 1;
    if (packed && settings.allFragments && inode.size <= WHOLE_FRAGMENT_MAX) {
      inode.compressed = await packed.placeFile(inode, settings);
      continue;
    }
    const added = queue.add(inode, tails, variant);
    if (added) await added;
  }
  await queue.drain();
  const result = { spool, ends };
  if (packed === undefined || packed.size === 0) {
    return { ...result, blocks: builder.blocks, packed: undefined };
  }
  const inode = packed.inode(inodes.length + 1, inodes[0]!);
  measure(inode);
  const last = new Queue(settings, builder, call, inode.size, dedupe);
  await last.add(inode, 'plain', settings.packedVariant);
  await last.drain();
  return { ...result, blocks: builder.blocks, packed: inode };
}

/**
 * Takes over what another image has compressed.
 *
 * @param chosen for each inode by which of the settings it is to be compressed, from 1, or 0: becomes 0 for
 *   what was taken over
 */
async function takeOver(
  inodes: readonly Inode[],
  chosen: Uint16Array,
  settings: CompressionSettings,
  builder: FileBuilder,
  { signal, onProgress }: CallOptions,
): Promise<void> {
  const reuse = settings.reuse && (await Reuse.from(settings.reuse, settings));
  if (reuse === undefined) return;
  for (const [done, inode] of inodes.entries()) {
    if (chosen[done] === 0) continue;
    signal?.throwIfAborted();
    const variant = chosen[done]! - 1;
    const pieces = await reuse.find(inode, settings.variants[variant]!);
    if (pieces === undefined) continue;
    chosen[done] = 0;
    for await (const { bytes, piece } of pieces) {
      await builder.add(inode, piece, variant, { memory: bytes, fragmentAt: piece.end });
      await builder.flush();
    }
    onProgress?.({ step: 'take over files', done, total: inodes.length, unit: 'items' });
  }
}

/**
 * Stores files of which parts are wanted first: those parts, and then the rest.
 *
 * @param chosen as of `takeOver`: becomes 0 for what was stored
 */
async function storeCut(
  inodes: readonly Inode[],
  chosen: Uint16Array,
  settings: CompressionSettings,
  builder: FileBuilder,
  call: CallOptions,
  ranges: WantedRanges | undefined,
): Promise<void> {
  // What is found again at any byte must not end where somebody stops reading; and parts begin at any block.
  if (ranges === undefined || settings.dedupe || settings.dataUnit > 1) return;
  const cut: CutFile[] = [];
  for (const [at, inode] of inodes.entries()) {
    if (chosen[at] === 0) continue;
    const one = cutFile(inode, chosen[at]! - 1, ranges.get(inode.path), settings.blockSize);
    if (one === undefined) continue;
    cut.push(one);
    chosen[at] = 0;
  }
  const parts = new FileParts(builder);
  const total = cut.reduce((sum, { inode }) => sum + inode.size, 0);
  const queue = new Queue(settings, parts, call, total);
  const put = async (of: (file: CutFile) => readonly FileRange[]) => {
    for (const file of cut) {
      for (const range of of(file)) {
        parts.expect(range);
        await queue.addPart(file.inode, range, file.variant);
      }
    }
  };
  await put(({ wanted }) => wanted);
  await put(({ rest }) => rest);
  await queue.drain();
  parts.finish(cut);
}

/** By which of the settings a file is compressed, if it is at all. */
function variantOf(
  inode: Inode,
  { tails, blockSize, variantFor }: CompressionSettings,
): number | undefined {
  const { type, size, chunks } = inode;
  if (type !== 'file') return undefined;
  // Holes cost next to nothing as they are; a file that is mostly data shrinks better.
  if (chunks !== undefined) {
    const stored = storedRanges(chunks, size).reduce((sum, { length }) => sum + length, 0);
    if (stored * 2 < size) return undefined;
    inode.chunks = undefined;
  }
  if (size <= (tails === 'plain' ? blockSize : 0)) return undefined;
  return variantFor(inode);
}

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

/** Batches under way, whose results are taken in order. */
class Queue {
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
