import { BackwardBits, type Input } from './bits.ts';
import { readFse } from './fse.ts';

const LONGEST = 11;
const WEIGHTS = { logMax: 6, symbolMax: 255 };

/** A code of literals. By the next `bits` bits: symbol << 4 | length of its code. */
export interface HuffmanTable {
  readonly bits: number;
  readonly entries: Uint16Array;
}

/**
 * The description of a code. Source: RFC 8878, 4.2.1.
 *
 * @returns the table and the byte after its description
 */
export function readHuffman(
  input: Input,
  start: number,
  end: number,
): { table: HuffmanTable; end: number } {
  if (start >= end) input.fail('a code of literals is cut off', start);
  const head = input.bytes[start]!;
  const at = start + 1;
  const size = head < 128 ? head : (head - 126) >> 1;
  if (at + size > end) input.fail('a code of literals is cut off', start);
  const weights =
    head < 128 ? packedWeights(input, at, at + size) : plainWeights(input, at, head - 127);
  return { table: tableOf(input, weights, start), end: at + size };
}

function plainWeights(input: Input, start: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const byte = input.bytes[start + (index >> 1)]!;
    return index % 2 === 0 ? byte >> 4 : byte & 15;
  });
}

/** Two states take turns until the bits are used up. */
function packedWeights(input: Input, start: number, end: number): number[] {
  const { table, end: at } = readFse(input, start, end, WEIGHTS);
  const bits = new BackwardBits(input, at, end);
  let state = bits.read(table.log);
  let other = bits.read(table.log);
  if (bits.left < 0) input.fail('a code of literals is cut off', at);
  const weights: number[] = [];
  for (;;) {
    weights.push(table.symbols[state]!);
    if (weights.length > 254) input.fail('a code has too many literals', start);
    const next = table.bases[state]! + bits.read(table.bits[state]!);
    if (bits.left < 0) {
      weights.push(table.symbols[other]!);
      return weights;
    }
    state = other;
    other = next;
  }
}

/** The last literal has no weight written: its code is what is left. */
function tableOf(input: Input, weights: number[], offset: number): HuffmanTable {
  let sum = 0;
  for (const weight of weights) {
    if (weight > LONGEST) input.fail(`a literal has weight ${weight}`, offset);
    if (weight > 0) sum += 1 << (weight - 1);
  }
  const bits = 32 - Math.clz32(sum);
  const left = (1 << bits) - sum;
  if (sum === 0 || bits > LONGEST || (left & (left - 1)) !== 0 || weights.length > 255) {
    input.fail('a code of literals is none', offset);
  }
  const all = [...weights, 32 - Math.clz32(left)];
  const entries = new Uint16Array(1 << bits);
  let at = 0;
  for (let weight = 1; weight <= bits; weight++) {
    for (let symbol = 0; symbol < all.length; symbol++) {
      if (all[symbol] !== weight) continue;
      const entry = (symbol << 4) | (bits + 1 - weight);
      entries.fill(entry, at, at + (1 << (weight - 1)));
      at += 1 << (weight - 1);
    }
  }
  return { bits, entries };
}

/** Decodes one stream: exactly as many literals as fit, by exactly all bits. */
export function decodeStream(
  input: Input,
  start: number,
  end: number,
  { bits, entries }: HuffmanTable,
  output: Uint8Array,
): void {
  const last = end > start ? input.bytes[end - 1]! : 0;
  if (last === 0) input.fail('a stream of literals has no end', end);
  const { view } = input;
  const first = start * 8;
  let at = (end - 1) * 8 + 31 - Math.clz32(last);
  for (let to = 0; to < output.length; to++) {
    // At most 11 bits before the beginning are looked at, which lie in the margin.
    const from = at - bits;
    const entry = entries[(view.getUint32(from >> 3, true) >>> (from & 7)) & ((1 << bits) - 1)]!;
    output[to] = entry >> 4;
    at -= entry & 15;
    if (at < first) input.fail('a stream of literals is too short', start);
  }
  if (at !== first) input.fail('a stream of literals is too long', start);
}
