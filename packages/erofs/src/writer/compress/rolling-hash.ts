/** Odd, so that each byte of a window counts. */
const FACTOR = 0x9e3779b1;
/** Bits of the table of what is marked: 512 KiB. */
const TABLE_BITS = 22;

/** A number for each byte: of long runs of one byte, hashes would be alike. Made by xorshift32. */
const numbers = Int32Array.from({ length: 256 }, () => 0);
for (let at = 0, state = 0x2545f491; at < numbers.length; at++) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  numbers[at] = state;
}

/** A polynomial hash of a window that moves on byte by byte, and a table of those to be found. */
export class RollingHash {
  readonly #window: number;
  /** What the byte that leaves a window counts. */
  readonly #leaving: Int32Array;
  readonly #marked = new Uint32Array(2 ** (TABLE_BITS - 5));
  // Where the window is that moves:
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #hash = 0;

  /** @param window bytes that are hashed together */
  constructor(window: number) {
    this.#window = window;
    let power = 1;
    for (let step = 0; step < window; step++) power = Math.imul(power, FACTOR);
    this.#leaving = numbers.map((number) => Math.imul(number, power));
  }

  /** Hash of the window at `at`. */
  of(bytes: Uint8Array, at: number): number {
    let hash = 0;
    for (let next = at; next < at + this.#window; next++) {
      hash = (Math.imul(hash, FACTOR) + numbers[bytes[next]!]!) | 0;
    }
    return hash >>> 0;
  }

  mark(hash: number): void {
    const bit = hash >>> (32 - TABLE_BITS);
    this.#marked[bit >>> 5]! |= 1 << (bit & 31);
  }

  /** Puts the window to `at`. */
  begin(bytes: Uint8Array, at: number): void {
    this.#bytes = bytes;
    this.#at = at;
    this.#hash = this.of(bytes, at) | 0;
  }

  /** Hash of the window where it is. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  /**
   * Moves the window on to where it may be one that is marked, and says where that is: the present place,
   * one up to `last`, or `last + 1` where there is none.
   */
  seek(last: number): number {
    const marked = this.#marked;
    const leaving = this.#leaving;
    const bytes = this.#bytes;
    const window = this.#window;
    let at = this.#at;
    let hash = this.#hash;
    for (; at <= last; at++) {
      const bit = hash >>> (32 - TABLE_BITS);
      if (((marked[bit >>> 5]! >>> (bit & 31)) & 1) !== 0) break;
      hash = (Math.imul(hash, FACTOR) + numbers[bytes[at + window]!]! - leaving[bytes[at]!]!) | 0;
    }
    this.#at = at;
    this.#hash = hash;
    return at;
  }

  /** Moves the window on by one byte. */
  step(): void {
    const next = numbers[this.#bytes[this.#at + this.#window]!]!;
    const left = this.#leaving[this.#bytes[this.#at]!]!;
    this.#hash = (Math.imul(this.#hash, FACTOR) + next - left) | 0;
    this.#at++;
  }
}
