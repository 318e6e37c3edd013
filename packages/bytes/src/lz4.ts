import { AnoleError } from './errors.ts';
import { lz4Module } from './lz4-module.ts';
import { WasmDecoder } from './wasm-decoder.ts';

const compiled = new WasmDecoder(lz4Module);
/** Outputs from which on copies into and out of WebAssembly's memory pay. */
const COMPILED_FROM = 256;
/** Beyond these its sums of 32 bits could wrap. */
const COMPILED_INPUT = 4 * 1024 * 1024;
const COMPILED_OUTPUT = 256 * 1024 * 1024;

/** Copies of at least so many bytes are left to the engine's own; shorter ones are faster in a loop. */
const LONG = 64;

export interface BlockOptions {
  /** The block may hold more than fits: decoding stops where the output is full. */
  readonly partial?: boolean;
}

/**
 * Decodes one LZ4 block into `output`, which must become exactly full, by all of the input unless it
 * is `partial`. On an error `output` holds part of the data. Source: lz4's doc/lz4_Block_format.md.
 *
 * @throws AnoleError `LZ4_DAMAGED`; `details.offset` is the byte of the input met
 * @example
 * const text = new Uint8Array(6);
 * decodeLz4(new Uint8Array([0x11, 0x61, 1, 0, 0x00]), text, { partial: true }); // aaaaaa
 */
export function decodeLz4(
  input: Uint8Array,
  output: Uint8Array,
  { partial = false }: BlockOptions = {},
): void {
  const { length } = output;
  const pays = length >= COMPILED_FROM && length <= COMPILED_OUTPUT;
  if (pays && input.length <= COMPILED_INPUT && compiled.decode(input, output, partial)) return;
  // What is damaged is decoded again, up to where the damage lies.
  decodeLz4Plainly(input, output, partial);
}

/** As {@link decodeLz4}, in JavaScript: says what is wrong, and serves where WebAssembly may not run. */
export function decodeLz4Plainly(input: Uint8Array, output: Uint8Array, partial: boolean): void {
  const inEnd = input.length;
  const outEnd = output.length;
  let at = 0;
  let to = 0;
  for (;;) {
    if (at >= inEnd) fail('it ends before the output is full', at);
    const token = input[at++]!;
    let length = token >> 4;
    if (length === 15) {
      let more = 255;
      while (more === 255) {
        if (at >= inEnd) fail('it ends inside a length', at);
        more = input[at++]!;
        length += more;
      }
    }
    if (at + length > inEnd || to + length > outEnd) {
      const kept = outEnd - to;
      if (!partial || at + Math.min(length, kept) > inEnd) fail('its literals do not fit', at);
      length = kept;
    }
    const literalEnd = to + length;
    if (length >= LONG) {
      output.set(input.subarray(at, at + length), to);
      to = literalEnd;
      at += length;
    } else {
      while (to < literalEnd) output[to++] = input[at++]!;
    }
    if (at === inEnd) {
      if (to === outEnd) return;
      fail('it ends before the output is full', at);
    }
    if (partial && to === outEnd) return;
    if (at + 2 > inEnd) fail('it ends inside a distance', at);
    const distance = input[at]! | (input[at + 1]! << 8);
    at += 2;
    if (distance === 0 || distance > to) fail(`a match lies ${distance} bytes back`, at - 2);
    length = token & 15;
    if (length === 15) {
      let more = 255;
      while (more === 255) {
        if (at >= inEnd) fail('it ends inside a length', at);
        more = input[at++]!;
        length += more;
      }
    }
    let matchEnd = to + length + 4;
    if (matchEnd > outEnd) {
      if (!partial) fail('it is longer than the output', at);
      matchEnd = outEnd;
    }
    if (matchEnd - to < LONG) {
      let from = to - distance;
      while (to < matchEnd) output[to++] = output[from++]!;
    } else {
      copyMatch(output, to, distance, matchEnd);
      to = matchEnd;
    }
  }
}

/** What has been copied once is copied again as a whole, so few copies make a long run. */
function copyMatch(output: Uint8Array, start: number, distance: number, end: number): void {
  const from = start - distance;
  if (distance === 1) {
    output.fill(output[from]!, start, end);
    return;
  }
  for (let to = start; to < end; ) {
    const count = Math.min(to - from, end - to);
    output.copyWithin(to, from, from + count);
    to += count;
  }
}

function fail(reason: string, offset: number): never {
  throw new AnoleError(
    'LZ4_DAMAGED',
    `Cannot decode the LZ4 block: ${reason} (at byte ${offset})`,
    {
      details: { offset },
    },
  );
}
