/** Codes of at most so many bits are found by one look. */
const FAST = 10;
const LONGEST = 15;

/** A canonical Huffman code, read from its lowest bit on. Source: RFC 1951, 3.2.2. */
export class Huffman {
  /** By the next bits: symbol << 4 | length; 0 where the code is longer or none. */
  readonly #fast = new Uint16Array(1 << FAST);
  /** Codes of each length, and symbols in the order of their codes. */
  readonly #counts = new Uint16Array(LONGEST + 1);
  readonly #symbols = new Uint16Array(320);

  /**
   * @param lengths of the code of each symbol; 0: it has none
   * @returns whether that is a code: none is longer than fits. Incomplete ones are.
   */
  build(lengths: Uint8Array): boolean {
    const counts = this.#counts.fill(0);
    for (const length of lengths) counts[length]!++;
    counts[0] = 0;
    const firsts = new Uint16Array(LONGEST + 2);
    const places = new Uint16Array(LONGEST + 2);
    let left = 1;
    for (let length = 1; length <= LONGEST; length++) {
      left = 2 * left - counts[length]!;
      if (left < 0) return false;
      firsts[length + 1] = (firsts[length]! + counts[length]!) << 1;
      places[length + 1] = places[length]! + counts[length]!;
    }
    this.#fast.fill(0);
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      const length = lengths[symbol]!;
      if (length === 0) continue;
      this.#symbols[places[length]!++] = symbol;
      const code = firsts[length]!++;
      if (length > FAST) continue;
      const step = 1 << length;
      for (let at = reversed(code, length); at < 1 << FAST; at += step) {
        this.#fast[at] = (symbol << 4) | length;
      }
    }
    return true;
  }

  /** Symbol << 4 | length of the code that `bits` begin with; -1 where there is none. */
  find(bits: number): number {
    const found = this.#fast[bits & ((1 << FAST) - 1)]!;
    return found === 0 ? this.#findLong(bits) : found;
  }

  #findLong(bits: number): number {
    let code = 0;
    let first = 0;
    let place = 0;
    for (let length = 1; length <= LONGEST; length++) {
      code |= (bits >>> (length - 1)) & 1;
      const count = this.#counts[length]!;
      if (code - first < count) return (this.#symbols[place + code - first]! << 4) | length;
      place += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return -1;
  }
}

function reversed(code: number, length: number): number {
  let result = 0;
  for (let bit = 0; bit < length; bit++) result |= ((code >> bit) & 1) << (length - 1 - bit);
  return result;
}
