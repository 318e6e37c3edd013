import { type Awaitable, chain, isPromise } from './awaitable.ts';

/** A piece that some cache keeps. */
export interface Kept {
  readonly bytes: Uint8Array;
  /** Lets the cache forget it. */
  drop(): void;
}

/**
 * Memory that caches share: so many bytes, whichever of them uses it. The longest unused piece of all goes
 * first.
 */
export class BytesBudget {
  readonly #limit: number;
  #size = 0;
  /** The longest unused first. */
  readonly #kept = new Set<Kept>();

  /** @param limit bytes; the last piece is kept whatever its size */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes a piece in, and gives up others until there is room. */
  keep(piece: Kept): void {
    for (const oldest of this.#kept) {
      if (this.#size + piece.bytes.length <= this.#limit) break;
      this.forget(oldest);
      oldest.drop();
    }
    this.#kept.add(piece);
    this.#size += piece.bytes.length;
  }

  /** Gives up all pieces. */
  clear(): void {
    for (const piece of this.#kept) {
      this.forget(piece);
      piece.drop();
    }
  }

  /** Notes that a piece is used: it stays longer. */
  use(piece: Kept): void {
    if (this.#kept.delete(piece)) this.#kept.add(piece);
  }

  /** Notes that a cache has given up a piece by itself. */
  forget(piece: Kept): void {
    if (this.#kept.delete(piece)) this.#size -= piece.bytes.length;
  }
}

/**
 * Pieces of bytes that cost something to make (decoded data), the longest unused of which go first; who
 * asks for one that is on its way waits for it.
 */
export class BytesCache {
  readonly #budget: BytesBudget;
  readonly #kept = new Map<string, Kept>();
  readonly #pending = new Map<string, Promise<Uint8Array>>();

  /** @param memory bytes of its own, the last piece kept whatever its size; or what it shares with others */
  constructor(memory: number | BytesBudget) {
    this.#budget = typeof memory === 'number' ? new BytesBudget(memory) : memory;
  }

  /** One that is here or on its way. */
  get(key: string): Awaitable<Uint8Array> | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return this.#pending.get(key);
    this.#budget.use(kept);
    return kept.bytes;
  }

  /** Makes one; those who ask meanwhile wait for it. Keeps it if told. */
  make(key: string, keep: boolean, load: () => Awaitable<Uint8Array>): Awaitable<Uint8Array> {
    const made = load();
    if (!isPromise(made)) {
      if (keep) this.#keep(key, made);
      return made;
    }
    const settled = made.finally(() => this.#pending.delete(key));
    this.#pending.set(key, settled);
    return chain(settled, (bytes) => {
      if (keep) this.#keep(key, bytes);
      return bytes;
    });
  }

  /** Takes out one that turned out to be wrong. */
  drop(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#budget.forget(kept);
  }

  #keep(key: string, bytes: Uint8Array): void {
    if (this.#kept.has(key)) return;
    const piece: Kept = { bytes, drop: () => void this.#kept.delete(key) };
    this.#kept.set(key, piece);
    this.#budget.keep(piece);
  }
}
