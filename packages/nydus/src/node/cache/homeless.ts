/** Chunks that are kept. */
const MOST = 64;

/** Chunks that found no place on the disk, kept in memory: the newest few. By their indexes. */
export class Homeless {
  readonly #chunks = new Map<number, Uint8Array>();
  readonly #lost = new Set<number>();

  get isEmpty(): boolean {
    return this.#chunks.size === 0;
  }

  /** Of all that have no place on the disk, those that were let go of included. */
  get indexes(): readonly number[] {
    return [...this.#lost, ...this.#chunks.keys()];
  }

  has(index: number): boolean {
    return this.#chunks.has(index);
  }

  /** Its bytes, which stay here. */
  get(index: number): Uint8Array | undefined {
    return this.#chunks.get(index);
  }

  /** Takes bytes over. Where there are too many, the oldest are let go of. */
  keep(index: number, bytes: Uint8Array): void {
    this.#chunks.set(index, bytes);
    this.#lost.delete(index);
    for (const oldest of this.#chunks.keys()) {
      if (this.#chunks.size <= MOST) break;
      this.#chunks.delete(oldest);
      this.#lost.add(oldest);
    }
  }

  /** Hands out what is kept of chunks [first, end): it is kept no more. */
  *take(first: number, end: number): Generator<[index: number, bytes: Uint8Array]> {
    for (let index = first; index < end; index++) {
      const bytes = this.#chunks.get(index);
      if (bytes === undefined) continue;
      this.#chunks.delete(index);
      yield [index, bytes];
    }
  }

  /** Chunks [first, end) have found a place. */
  settled(first: number, end: number): void {
    if (this.#lost.size === 0) return;
    for (let index = first; index < end; index++) this.#lost.delete(index);
  }

  clear(): void {
    this.#chunks.clear();
    this.#lost.clear();
  }
}
