import { LITERAL_BITS_MAX, LITERAL_SIZE, LITERALS, POSITION_STATES } from '../lzma/layout.ts';

/** Longest match. Source: Igor Pavlov's LZMA specification. */
export const LENGTH_MAX = 273;
/** Prices are sixteenths of a bit. */
const BIT_PRICES_SIZE = 128 * 2;
const SLOT_COUNT = 64;
const FULL_DISTANCES = 128;
/** Bytes of one path's place, and how many places are looked at before one is taken. */
export const NODE_SIZE = 48;
export const NODES = 4096;
const MATCHES_MAX = 512;

/** Registers, each of 8 bytes, at the start of the kernel's memory. */
const registers = ['RESULT', 'LOW', 'RANGE', 'CACHE', 'PENDING', 'TO', 'STATE', 'REPS', 'REPS_2'];

let next = 1024;
function place(size: number): number {
  const at = next;
  next += Math.ceil(size / 64) * 64;
  return at;
}

/** Where the kernels keep their tables, in bytes of their memory. */
export const tables = {
  PROBABILITIES: place((LITERALS + (LITERAL_SIZE << LITERAL_BITS_MAX)) * 2),
  BIT_PRICES: place(BIT_PRICES_SIZE),
  LENGTH_PRICES: place(2 * POSITION_STATES * LENGTH_MAX * 2),
  SLOT_PRICES: place(4 * SLOT_COUNT * 4),
  DISTANCE_PRICES: place(4 * FULL_DISTANCES * 4),
  ALIGN_PRICES: place(16 * 4),
  NODE: place(NODES * NODE_SIZE),
  MATCHES: place(MATCHES_MAX * 8),
} as const;

/** Hashes of two and of three bytes, and after them of four. */
export const HASH_2_BITS = 10;
export const HASH_3_BITS = 14;
export const HEADS_2 = next;
export const HEADS_3 = HEADS_2 + 4 * 2 ** HASH_2_BITS;
export const HEADS_4 = HEADS_3 + 4 * 2 ** HASH_3_BITS;

/** Bits of the hash of four bytes, for a window of so many bits. */
export function hashBits(windowBits: number): number {
  return Math.min(Math.max(windowBits, 14), 20);
}

/** Byte at which the trees begin: two places for each byte of the window. */
export function treesStart(windowBits: number): number {
  return HEADS_4 + 4 * 2 ** hashBits(windowBits);
}

/** `const` lines of a kernel for all of the above. */
export const memoryConstants = [
  ...registers.map((name, index) => `const ${name} = ${16 + index * 8};`),
  ...Object.entries(tables).map(([name, at]) => `const ${name} = ${at};`),
].join('\n');
