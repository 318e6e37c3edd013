import { type Awaitable, chain, type Flow, flow, wait } from '@anole/bytes';
import { VfsError } from '../errors.ts';
import type { Extent, TreeNode } from '../tree.ts';
import { type Budget, ENTRY_COST } from './budget.ts';
import { CHUNK, type Chunk, type ChunkStore, grownLength, isShared, nothing } from './chunk.ts';
import { dataRanges } from './extents.ts';

/** The content of a file as plain data. Its chunks lie in shared memory, or in a store, and are never written. */
export interface ContentState {
  readonly size: number;
  readonly lowerEnd: number;
  readonly held: number;
  readonly chunks: readonly (readonly [number, Chunk])[];
}

/**
 * The bytes of one changed file: chunks in memory over what is left of a lower file.
 *
 * A chunk that is present decides its whole range; past its own length it reads as zeros, so a
 * chunk of length 0 is a hole. A chunk that is absent reads from the lower file up to `lowerEnd`,
 * as zeros behind. Bytes behind `size` are zero in every chunk, so that growing shows zeros.
 */
export class FileContent {
  size: number;
  readonly #budget: Budget;
  readonly #lower: TreeNode | undefined;
  #lowerEnd: number;
  readonly #chunks = new Map<number, Chunk>();
  #store: ChunkStore | undefined;
  #held = 0;

  constructor(budget: Budget, lower?: TreeNode) {
    this.#budget = budget;
    this.#lower = lower;
    this.size = lower?.stat.size ?? 0;
    this.#lowerEnd = this.size;
  }

  /** What {@link save} gave of another content over the same lower file. */
  static restore(
    budget: Budget,
    lower: TreeNode | undefined,
    state: ContentState,
    store?: ChunkStore,
  ): FileContent {
    const content = new FileContent(budget, lower);
    content.#store = store;
    content.size = state.size;
    content.#lowerEnd = state.lowerEnd;
    content.#held = state.held;
    for (const [index, chunk] of state.chunks) content.#chunks.set(index, chunk);
    return content;
  }

  /** Takes the content as it is, for another one: its chunks are shared from then on. */
  save(): ContentState {
    const own: [number, Uint8Array][] = [];
    for (const [index, chunk] of this.#chunks) {
      if (chunk instanceof Uint8Array && chunk.length > 0 && !isShared(chunk)) {
        own.push([index, chunk]);
      }
    }
    const memory = new SharedArrayBuffer(own.reduce((sum, [, { length }]) => sum + length, 0));
    let at = 0;
    for (const [index, chunk] of own) {
      const copy = new Uint8Array(memory, at, chunk.length);
      copy.set(chunk);
      this.#chunks.set(index, copy);
      at += chunk.length;
    }
    const { size } = this;
    return { size, lowerEnd: this.#lowerEnd, held: this.#held, chunks: [...this.#chunks] };
  }

  /** Bytes that the file takes: those in memory, and those it still shows of the lower file. */
  get allocated(): number {
    const lower = this.#lower?.stat;
    const shown = lower === undefined ? 0 : Math.min(this.#lowerEnd, lower.allocated ?? lower.size);
    return Math.min(this.#held + shown, Math.ceil(this.size / CHUNK) * CHUNK);
  }

  read(offset: number, length: number): Awaitable<Uint8Array> {
    const end = Math.min(offset + length, this.size);
    if (end <= offset) return nothing;
    const index = Math.floor(offset / CHUNK);
    const chunk = this.#chunks.get(index);
    const start = index * CHUNK;
    if (chunk !== undefined && end <= start + chunk.length) {
      return this.#bytes(chunk).subarray(offset - start, end - start);
    }
    if (this.#chunks.size === 0 && end <= this.#lowerEnd) {
      return this.#lower!.read(offset, end - offset);
    }
    return flow(() => this.#gather(offset, end));
  }

  #bytes(chunk: Chunk): Uint8Array {
    if (chunk instanceof Uint8Array) return chunk;
    return this.#store?.read(chunk) ?? nothing;
  }

  *#gather(offset: number, end: number): Flow<Uint8Array> {
    const out = new Uint8Array(end - offset);
    for (let at = offset; at < end; ) {
      const index = Math.floor(at / CHUNK);
      const chunk = this.#chunks.get(index);
      const start = index * CHUNK;
      let to = Math.min(start + CHUNK, end);
      if (chunk !== undefined) {
        if (at - start < chunk.length) {
          out.set(this.#bytes(chunk).subarray(at - start, to - start), at - offset);
        }
      } else {
        while (to < end && !this.#chunks.has(Math.floor(to / CHUNK)))
          to = Math.min(to + CHUNK, end);
        const lowerTo = Math.min(to, this.#lowerEnd);
        if (at < lowerTo) out.set(yield* wait(this.#lower!.read(at, lowerTo - at)), at - offset);
      }
      at = to;
    }
    return out;
  }

  *write(offset: number, bytes: Uint8Array): Flow<void> {
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    checkSize(end);
    const first = Math.floor(offset / CHUNK);
    const last = Math.floor((end - 1) / CHUNK);
    // What must wait comes first: from here on the change is made at once or not at all.
    const head = yield* wait(this.#fill(first, offset, end));
    const tail = last === first ? head : yield* wait(this.#fill(last, offset, end));
    this.#budget.take(this.#growth(offset, end, head, tail));
    for (let index = first; index <= last; index++) {
      const from = Math.max(offset, index * CHUNK);
      const to = Math.min(end, (index + 1) * CHUNK);
      const known = index === first ? head : index === last ? tail : this.#chunks.get(index);
      const chunk = this.#grown(index, known ?? nothing, to - index * CHUNK);
      chunk.set(bytes.subarray(from - offset, to - offset), from - index * CHUNK);
    }
    this.size = Math.max(this.size, end);
  }

  /** What chunk `index` holds now, where a change of [offset, end) leaves some of it. */
  #fill(index: number, offset: number, end: number): Awaitable<Chunk | undefined> {
    const chunk = this.#chunks.get(index);
    if (chunk !== undefined) return chunk;
    const start = index * CHUNK;
    const lowerEnd = Math.min(start + CHUNK, this.#lowerEnd);
    if (start >= lowerEnd || (offset <= start && end >= lowerEnd)) return undefined;
    return chain(this.#lower!.read(start, lowerEnd - start), (bytes) => bytes.slice());
  }

  /** Bytes to take from the budget so that every chunk of [offset, end) reaches as far as needed. */
  #growth(offset: number, end: number, head?: Chunk, tail?: Chunk): number {
    const first = Math.floor(offset / CHUNK);
    const last = Math.floor((end - 1) / CHUNK);
    let bytes = 0;
    for (let index = first; index <= last; index++) {
      const known = index === first ? head : index === last ? tail : undefined;
      const held = this.#chunks.get(index);
      const need = Math.min(end, (index + 1) * CHUNK) - index * CHUNK;
      bytes += grownLength((known ?? held ?? nothing).length, need) - (held?.length ?? 0);
      if (held === undefined) bytes += ENTRY_COST;
    }
    return bytes;
  }

  #grown(index: number, known: Chunk, need: number): Uint8Array {
    const held = this.#chunks.get(index);
    let chunk = this.#bytes(known);
    if (chunk.length < need || isShared(known)) {
      const grown = new Uint8Array(grownLength(known.length, need));
      grown.set(chunk);
      chunk = grown;
    }
    this.#held += chunk.length - (held?.length ?? 0);
    if (chunk !== held) this.#chunks.set(index, chunk);
    return chunk;
  }

  /** Cuts or extends with zeros. */
  resize(size: number): void {
    checkSize(size);
    if (size < this.size) {
      const last = Math.floor(size / CHUNK);
      for (const index of this.#indexesFrom(last)) this.#cut(index, size - index * CHUNK);
      this.#lowerEnd = Math.min(this.#lowerEnd, size);
    }
    this.size = size;
  }

  #indexesFrom(first: number): number[] {
    return [...this.#chunks.keys()].filter((index) => index >= first);
  }

  /** Drops what chunk `index` holds from `length` on. */
  #cut(index: number, length: number): void {
    const chunk = this.#chunks.get(index)!;
    if (length <= 0) {
      this.#drop(index);
      return;
    }
    if (length >= chunk.length) return;
    const kept = this.#bytes(chunk).slice(0, length);
    this.#budget.take(kept.length - chunk.length);
    this.#held += kept.length - chunk.length;
    this.#chunks.set(index, kept);
  }

  #drop(index: number): void {
    const chunk = this.#chunks.get(index);
    if (chunk === undefined) return;
    this.#budget.take(-chunk.length - ENTRY_COST);
    this.#held -= chunk.length;
    this.#chunks.delete(index);
  }

  *punch(offset: number, length: number): Flow<void> {
    const end = Math.min(offset + length, this.size);
    if (end <= offset) return;
    // Without the lower file's tail most punches need no hole to be remembered.
    if (end >= this.#lowerEnd) this.#lowerEnd = Math.min(this.#lowerEnd, offset);
    const first = Math.ceil(offset / CHUNK);
    const last = Math.floor(end / CHUNK);
    if (first > last) return yield* this.#zero(offset, end);
    const holes = Math.max(0, Math.min(last, Math.ceil(this.#lowerEnd / CHUNK)) - first);
    this.#budget.take(holes * ENTRY_COST);
    try {
      yield* this.#zero(offset, first * CHUNK);
      yield* this.#zero(last * CHUNK, end);
    } catch (error) {
      this.#budget.take(-holes * ENTRY_COST);
      throw error;
    }
    for (const index of this.#indexesFrom(first)) if (index < last) this.#drop(index);
    for (let index = first; index < first + holes; index++) this.#chunks.set(index, nothing);
  }

  /** Zeros a range within one chunk. */
  *#zero(from: number, to: number): Flow<void> {
    if (from >= to) return;
    const index = Math.floor(from / CHUNK);
    const held = this.#chunks.get(index);
    if (held !== undefined) {
      this.#grown(index, held, 0).fill(0, from - index * CHUNK, to - index * CHUNK);
    } else if (from < this.#lowerEnd) {
      yield* this.write(from, new Uint8Array(Math.min(to, this.#lowerEnd) - from));
    }
  }

  /** Ranges that may hold data, in order, apart from each other. */
  extents(): Awaitable<readonly Extent[]> {
    return flow(() => dataRanges(this.#chunks, CHUNK, this.size, this.#lower, this.#lowerEnd));
  }

  /** Gives all memory back. The content must not be used afterwards. */
  free(): void {
    for (const index of this.#indexesFrom(0)) this.#drop(index);
    this.#lowerEnd = 0;
    this.size = 0;
  }
}

function checkSize(size: number): void {
  if (Number.isSafeInteger(size) && size >= 0) return;
  throw new VfsError('VFS_TOO_LARGE', `Cannot make a file of ${size} bytes`);
}
