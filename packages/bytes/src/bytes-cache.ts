import { type Awaitable, chain, isPromise } from './awaitable.ts';

/**
 * Pieces of bytes that cost something to make (decoded data), the longest unused of which go first; who
 * asks for one that is on its way waits for it.
 */
export class BytesCache {
  readonly #limit: number;
  #size = 0;
  readonly #kept = new Map<string, Uint8Array>();
  readonly #pending = new Map<string, Promise<Uint8Array>>();

  /** @param limit bytes; the last one is kept whatever its size */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** One that is here or on its way. */
  get(key: string): Awaitable<Uint8Array> | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return this.#pending.get(key);
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept;
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

  #keep(key: string, bytes: Uint8Array): void {
    if (this.#kept.has(key)) return;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#size + bytes.length <= this.#limit) break;
      this.#kept.delete(oldest);
      this.#size -= length;
    }
    this.#kept.set(key, bytes);
    this.#size += bytes.length;
  }
}
