import { AnoleError } from './errors.ts';
import type { BlockOptions } from './lz4.ts';
import {
  ADAPT,
  AFTER_LITERAL,
  ALIGN,
  HALF,
  IS_MATCH,
  IS_REPEAT,
  IS_REPEAT_0,
  IS_REPEAT_0_LONG,
  IS_REPEAT_1,
  IS_REPEAT_2,
  LITERAL_BITS_MAX,
  LITERAL_SIZE,
  LITERALS,
  MATCH_LENGTH,
  MATCH_MIN,
  POSITION_STATES,
  PROBABILITY_BITS,
  REPEAT_LENGTH,
  SLOTS,
  SPECIAL,
  TOP,
} from './lzma/layout.ts';
import { LZMA_RESERVED, lzmaModule } from './lzma/module.ts';
import { WasmDecoder } from './wasm-decoder.ts';

const compiled = new WasmDecoder(lzmaModule, LZMA_RESERVED);
/** Outputs for which it pays to fill WebAssembly's probabilities; far more than any image has. */
const COMPILED_FROM = 256;
const COMPILED_OUTPUT = 256 * 1024 * 1024;

/**
 * Decodes a MicroLZMA stream into `output`, which must become exactly full: LZMA1 without header and
 * end, whose first byte is the inverted properties in place of the 0 that such streams begin with.
 * Source: liblzma's api/lzma/container.h, lzma_microlzma_encoder; Igor Pavlov's LZMA specification.
 *
 * @throws AnoleError `LZMA_DAMAGED`; `details.offset` is the byte of the input met
 */
export function decodeMicroLzma(
  input: Uint8Array,
  output: Uint8Array,
  // The stream has no end of its own: the output's length is always where decoding stops.
  { partial = false }: BlockOptions = {},
): void {
  const { length } = output;
  const pays = length >= COMPILED_FROM && length <= COMPILED_OUTPUT;
  if (pays && compiled.decode(input, output, partial)) return;
  // What is damaged is decoded again, up to where the damage lies.
  decodeMicroLzmaPlainly(input, output);
}

/** As {@link decodeMicroLzma}, in JavaScript: says what is wrong, and serves without WebAssembly. */
export function decodeMicroLzmaPlainly(input: Uint8Array, output: Uint8Array): void {
  const properties = ~(input[0] ?? 0) & 0xff;
  const literalBits = properties % 9;
  const positionBits = Math.floor(properties / 45);
  const literalPositionBits = Math.floor(properties / 9) % 5;
  if (properties >= 225 || literalBits + literalPositionBits > LITERAL_BITS_MAX) {
    fail(`its properties are ${properties}`, 0);
  }
  if (input.length < 5) fail('it ends too early', input.length);
  new Decoder(input, output, literalBits, literalPositionBits, positionBits).run();
}

class Decoder {
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  readonly #literalBits: number;
  readonly #literalPositionMask: number;
  readonly #positionMask: number;
  readonly #probabilities: Uint16Array;
  #at = 5;
  #range = 0xffffffff;
  #code: number;

  constructor(
    input: Uint8Array,
    output: Uint8Array,
    literalBits: number,
    literalPositionBits: number,
    positionBits: number,
  ) {
    this.#input = input;
    this.#output = output;
    this.#literalBits = literalBits;
    this.#literalPositionMask = (1 << literalPositionBits) - 1;
    this.#positionMask = (1 << positionBits) - 1;
    const size = LITERALS + (LITERAL_SIZE << (literalBits + literalPositionBits));
    this.#probabilities = new Uint16Array(size).fill(HALF);
    this.#code = ((input[1]! << 24) | (input[2]! << 16) | (input[3]! << 8) | input[4]!) >>> 0;
  }

  run(): void {
    const output = this.#output;
    let state = 0;
    const distances: [number, number, number, number] = [0, 0, 0, 0];
    for (let to = 0; to < output.length; ) {
      const position = to & this.#positionMask;
      if (this.#bit(IS_MATCH + state * POSITION_STATES + position) === 0) {
        output[to] = this.#literal(to, state >= AFTER_LITERAL ? distances[0] : -1);
        to++;
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
        continue;
      }
      const isAfterLiteral = state < AFTER_LITERAL;
      let length = 1;
      if (this.#bit(IS_REPEAT + state) === 0) {
        length = this.#length(MATCH_LENGTH, position);
        distances.copyWithin(1, 0, 3);
        distances[0] = this.#distance(length);
        state = isAfterLiteral ? 7 : 10;
      } else if (this.#repeat(state, position, distances)) {
        state = isAfterLiteral ? 9 : 11;
      } else {
        length = this.#length(REPEAT_LENGTH, position);
        state = isAfterLiteral ? 8 : 11;
      }
      const from = to - distances[0] - 1;
      if (from < 0) fail(`a match lies ${distances[0] + 1} bytes back`, this.#at);
      const end = Math.min(to + length, output.length);
      for (let source = from; to < end; ) output[to++] = output[source++]!;
    }
  }

  /** Puts the distance that is repeated first; true where it is for one byte only. */
  #repeat(state: number, position: number, distances: number[]): boolean {
    if (this.#bit(IS_REPEAT_0 + state) === 0) {
      return this.#bit(IS_REPEAT_0_LONG + state * POSITION_STATES + position) === 0;
    }
    let index = 1;
    if (this.#bit(IS_REPEAT_1 + state) === 1) index = 2 + this.#bit(IS_REPEAT_2 + state);
    const distance = distances[index]!;
    distances.copyWithin(1, 0, index);
    distances[0] = distance;
    return false;
  }

  /** @param distance of the last match, minus one; -1 where a literal came last */
  #literal(to: number, distance: number): number {
    const before = to > 0 ? this.#output[to - 1]! : 0;
    const context =
      ((to & this.#literalPositionMask) << this.#literalBits) + (before >> (8 - this.#literalBits));
    const base = LITERALS + LITERAL_SIZE * context;
    let symbol = 1;
    if (distance >= 0) {
      let matched = to > distance ? this.#output[to - distance - 1]! : 0;
      while (symbol < 0x100) {
        const expected = (matched >> 7) & 1;
        matched <<= 1;
        const bit = this.#bit(base + ((1 + expected) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== expected) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(base + symbol);
    return symbol & 0xff;
  }

  #length(base: number, position: number): number {
    if (this.#bit(base) === 0) return MATCH_MIN + this.#tree(base + 2 + position * 8, 3);
    const middle = base + 2 + POSITION_STATES * 8;
    if (this.#bit(base + 1) === 0) return MATCH_MIN + 8 + this.#tree(middle + position * 8, 3);
    return MATCH_MIN + 16 + this.#tree(middle + POSITION_STATES * 8, 8);
  }

  /** Minus one. */
  #distance(length: number): number {
    const slot = this.#tree(SLOTS + Math.min(length - MATCH_MIN, 3) * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** bits;
    if (slot < 14) return base + this.#reverseTree(SPECIAL + base - slot, bits);
    let high = 0;
    for (let count = bits - 4; count > 0; count--) high = high * 2 + this.#directBit();
    return base + high * 16 + this.#reverseTree(ALIGN, 4);
  }

  #tree(base: number, bits: number): number {
    let symbol = 1;
    for (let count = bits; count > 0; count--) symbol = (symbol << 1) | this.#bit(base + symbol);
    return symbol - (1 << bits);
  }

  #reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let index = 0; index < bits; index++) {
      const bit = this.#bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << index;
    }
    return value;
  }

  #bit(index: number): number {
    if (this.#range < TOP) this.#normalize();
    const probability = this.#probabilities[index]!;
    const bound = (this.#range >>> PROBABILITY_BITS) * probability;
    if (this.#code < bound) {
      this.#range = bound;
      this.#probabilities[index] = probability + ((2 * HALF - probability) >> ADAPT);
      return 0;
    }
    this.#range -= bound;
    this.#code -= bound;
    this.#probabilities[index] = probability - (probability >> ADAPT);
    return 1;
  }

  #directBit(): number {
    if (this.#range < TOP) this.#normalize();
    this.#range = Math.floor(this.#range / 2);
    if (this.#code < this.#range) return 0;
    this.#code -= this.#range;
    return 1;
  }

  #normalize(): void {
    if (this.#at >= this.#input.length) fail('it ends too early', this.#at);
    this.#range = this.#range * 256;
    this.#code = ((this.#code << 8) | this.#input[this.#at++]!) >>> 0;
  }
}

function fail(reason: string, offset: number): never {
  throw new AnoleError(
    'LZMA_DAMAGED',
    `Cannot decode the LZMA data: ${reason} (at byte ${offset})`,
    {
      details: { offset },
    },
  );
}
