import { AnoleError } from '../errors.ts';
import type { BlockOptions } from '../lz4.ts';
import { Huffman } from './huffman.ts';
import { distanceBases, distanceExtra, lengthBases, lengthExtra } from './tables.ts';

/** Source: RFC 1951, 3.2.7: the order in which the lengths of the codes of lengths stand. */
const codeOrder = Uint8Array.of(16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15);

const END_OF_BLOCK = 256;

const fixed = (() => {
  const lengths = new Uint8Array(288);
  lengths.fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280);
  const literals = new Huffman();
  literals.build(lengths);
  const distances = new Huffman();
  distances.build(new Uint8Array(30).fill(5));
  return { literals, distances };
})();

/**
 * Decodes a raw DEFLATE stream into `output`, which must become exactly full, unless the stream is
 * `partial`: then what follows is not looked at. Bytes after the stream are ignored. On an error
 * `output` holds part of the data. Source: RFC 1951.
 *
 * @throws AnoleError `DEFLATE_DAMAGED`; `details.offset` is the byte of the input met
 */
export function inflate(
  input: Uint8Array,
  output: Uint8Array,
  { partial = false }: BlockOptions = {},
): void {
  new Inflater(input, output, partial).run();
}

class Inflater {
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  readonly #partial: boolean;
  #at = 0;
  #to = 0;
  /** Bits read but not used, lowest first, and how many. */
  #hold = 0;
  #bits = 0;
  readonly #literals = new Huffman();
  readonly #distances = new Huffman();

  constructor(input: Uint8Array, output: Uint8Array, partial: boolean) {
    this.#input = input;
    this.#output = output;
    this.#partial = partial;
  }

  run(): void {
    for (;;) {
      const isLast = this.#take(1) === 1;
      const kind = this.#take(2);
      if (kind === 0) this.#stored();
      else if (kind === 1) this.#compressed(fixed.literals, fixed.distances);
      else if (kind === 2) {
        this.#readCodes();
        this.#compressed(this.#literals, this.#distances);
      } else this.#fail('a block is of type 3');
      if (this.#partial && this.#to === this.#output.length) return;
      if (isLast) break;
    }
    if (this.#to < this.#output.length) this.#fail('it ends before the output is full');
  }

  /** The next `count` bits, 0 to 13. */
  #take(count: number): number {
    if (this.#bits < count) this.#refill();
    if (this.#bits < count) this.#fail('it ends too early');
    const value = this.#hold & ((1 << count) - 1);
    this.#hold >>>= count;
    this.#bits -= count;
    return value;
  }

  #refill(): void {
    while (this.#bits <= 24 && this.#at < this.#input.length) {
      this.#hold |= this.#input[this.#at++]! << this.#bits;
      this.#bits += 8;
    }
  }

  #stored(): void {
    // What was read ahead is given back, to the boundary of a byte.
    this.#at -= this.#bits >> 3;
    this.#hold = 0;
    this.#bits = 0;
    const input = this.#input;
    if (this.#at + 4 > input.length) this.#fail('it ends too early');
    const length = input[this.#at]! | (input[this.#at + 1]! << 8);
    const inverse = input[this.#at + 2]! | (input[this.#at + 3]! << 8);
    if ((length ^ inverse) !== 0xffff) this.#fail('a stored block contradicts itself');
    this.#at += 4;
    const room = this.#output.length - this.#to;
    if (length > room && !this.#partial) this.#fail('it is longer than the output');
    const count = Math.min(length, room);
    if (this.#at + count > input.length) this.#fail('it ends too early');
    this.#output.set(input.subarray(this.#at, this.#at + count), this.#to);
    this.#at += count;
    this.#to += count;
  }

  #readCodes(): void {
    const literals = this.#take(5) + 257;
    const distances = this.#take(5) + 1;
    const codes = this.#take(4) + 4;
    const lengths = new Uint8Array(320);
    for (let index = 0; index < codes; index++) lengths[codeOrder[index]!] = this.#take(3);
    const meta = this.#literals;
    if (!meta.build(lengths.subarray(0, 19))) this.#fail('its code of lengths is none');
    lengths.fill(0);
    const total = literals + distances;
    for (let index = 0; index < total; ) {
      const symbol = this.#symbol(meta);
      if (symbol < 16) {
        lengths[index++] = symbol;
        continue;
      }
      if (symbol === 16 && index === 0) this.#fail('a length repeats none');
      const value = symbol === 16 ? lengths[index - 1]! : 0;
      const count = symbol === 18 ? 11 + this.#take(7) : 3 + this.#take(symbol === 16 ? 2 : 3);
      if (index + count > total) this.#fail('there are too many lengths');
      lengths.fill(value, index, index + count);
      index += count;
    }
    if (lengths[END_OF_BLOCK] === 0) this.#fail('a block has no end');
    const isGood =
      this.#literals.build(lengths.subarray(0, literals)) &&
      this.#distances.build(lengths.subarray(literals, total));
    if (!isGood) this.#fail('its code is none');
  }

  #symbol(code: Huffman): number {
    this.#refill();
    const found = code.find(this.#hold);
    const length = found & 15;
    if (found < 0 || length > this.#bits) this.#fail('a code is unknown or cut off');
    this.#hold >>>= length;
    this.#bits -= length;
    return found >> 4;
  }

  #compressed(literals: Huffman, distances: Huffman): void {
    const output = this.#output;
    const end = output.length;
    let to = this.#to;
    for (;;) {
      if (to === end && this.#partial) break;
      const symbol = this.#symbol(literals);
      if (symbol < END_OF_BLOCK) {
        if (to === end) this.#fail('it is longer than the output');
        output[to++] = symbol;
        continue;
      }
      if (symbol === END_OF_BLOCK) break;
      if (symbol > 285) this.#fail(`a length has symbol ${symbol}`);
      let length = lengthBases[symbol - 257]! + this.#take(lengthExtra[symbol - 257]!);
      const code = this.#symbol(distances);
      if (code > 29) this.#fail(`a distance has symbol ${code}`);
      const distance = distanceBases[code]! + this.#take(distanceExtra[code]!);
      if (distance > to) this.#fail(`a match lies ${distance} bytes back`);
      if (to + length > end) {
        if (!this.#partial) this.#fail('it is longer than the output');
        length = end - to;
      }
      for (let from = to - distance; length > 0; length--) output[to++] = output[from++]!;
    }
    this.#to = to;
  }

  #fail(reason: string): never {
    throw new AnoleError(
      'DEFLATE_DAMAGED',
      `Cannot decode the DEFLATE stream: ${reason} (at byte ${this.#at})`,
      { details: { offset: this.#at } },
    );
  }
}
