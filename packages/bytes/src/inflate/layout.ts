import { distanceBases, distanceExtra, lengthBases, lengthExtra } from './tables.ts';

/** Where the kernel's memory has what it is told, and what it tells, as 32-bit words. */
export const STATE = {
  /** Next byte of the input, and of the output. */
  at: 64,
  to: 68,
  /** What comes next: one of {@link MODE}. */
  mode: 72,
  /** Whether the block under way is the last. */
  last: 76,
  /** Bytes that a stored block still has. */
  left: 80,
  /** Bits of the byte before `at` that are not used, lowest first, and how many: 0 to 7. */
  hold: 84,
  bits: 88,
} as const;

export const MODE = { header: 0, codes: 1, stored: 2, ended: 3 } as const;

/** What `run` gives. From `damaged` on: what is wrong, as {@link damages} words it. */
export const STATUS = { input: 0, output: 1, boundary: 2, ended: 3, damaged: 4 } as const;

export const damages: readonly string[] = [
  'a block is of type 3',
  'a stored block contradicts itself',
  'its code of lengths is none',
  'a length repeats none',
  'there are too many lengths',
  'a block has no end',
  'its code is none',
  'a code is unknown',
  'a match lies further back than there is data',
];

/** The first byte of the memory that is not the kernel's own. */
export const MEMORY_START = 64 * 1024;
/** Bytes that it may write beyond the end of the output, and read beyond that of the input. */
export const OUTPUT_SLACK = 512;
export const INPUT_SLACK = 16;

export const STATIC_LITERALS = 1024;
export const STATIC_DISTANCES: number = STATIC_LITERALS + 288 * 4;
export const STATIC_CODES: number = STATIC_DISTANCES + 32 * 4;
export const CODE_ORDER: number = STATIC_CODES + 19 * 4;

const LITERAL = 0x8000_0000;
const BLOCK_END = 0x4000;
const NONE = 0x2000;

/**
 * What symbols stand for, without the lengths of their codes: those are added where a table is made.
 * Bits 0–5: bits in all, 8–11: bits of the code, 13: none, 14: end of the block, 15: a table of longer
 * codes, 16–30: value, 31: literal.
 */
export function writeStaticTables(memory: WebAssembly.Memory): void {
  const bytes = new Uint8Array(memory.buffer);
  const words = new Int32Array(memory.buffer);
  const literals = words.subarray(STATIC_LITERALS / 4);
  for (let symbol = 0; symbol < 288; symbol++) {
    const at = symbol - 257;
    if (symbol < 256) literals[symbol] = LITERAL | (symbol << 16);
    else if (symbol === 256) literals[symbol] = BLOCK_END;
    else literals[symbol] = at > 28 ? NONE : (lengthBases[at]! << 16) | lengthExtra[at]!;
  }
  const distances = words.subarray(STATIC_DISTANCES / 4);
  for (let symbol = 0; symbol < 32; symbol++) {
    distances[symbol] =
      symbol > 29 ? NONE : (distanceBases[symbol]! << 16) | distanceExtra[symbol]!;
  }
  const codes = words.subarray(STATIC_CODES / 4);
  for (let symbol = 0; symbol < 19; symbol++) codes[symbol] = symbol << 16;
  bytes.set([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15], CODE_ORDER);
}
