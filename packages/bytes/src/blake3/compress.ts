/** Source: the BLAKE3 specification, 2.1, table 1. */
export const initial = Int32Array.of(
  ...[0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a],
  ...[0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
);

/** Source: the specification, 2.1, table 3. */
export const flags = { chunkStart: 1, chunkEnd: 2, parent: 4, root: 8 } as const;

export const BLOCK_SIZE = 64;
export const CHUNK_SIZE = 1024;
export const VALUE_SIZE = 32;

/** Source: the specification, 2.2, table 2: where a word of the message goes in the next round. */
const permutation = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8] as const;

/** Words of the message by round and place. */
export const schedule: readonly (readonly number[])[] = (() => {
  const rounds: number[][] = [Array.from({ length: 16 }, (_, index) => index)];
  while (rounds.length < 7) rounds.push(permutation.map((from) => rounds.at(-1)![from]!));
  return rounds;
})();

/** The four words of the state that each of the eight mixings of a round takes: columns, diagonals. */
export const mixings: readonly (readonly [number, number, number, number])[] = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

const state = new Int32Array(16);
const flatMixings = Uint8Array.from(mixings.flat());
const flatSchedule = Uint8Array.from(schedule.flat());

/**
 * Replaces the chaining value by that after one more block. `counter` is the number of the chunk, 0 for
 * parents; `length` how many of the block's 64 bytes count.
 */
export function compress(
  value: Int32Array,
  block: Int32Array,
  counter: number,
  length: number,
  flag: number,
): void {
  state.set(value);
  state.set(initial.subarray(0, 4), 8);
  state[12] = counter;
  state[13] = Math.floor(counter / 2 ** 32);
  state[14] = length;
  state[15] = flag;
  for (let word = 0; word < flatSchedule.length; word += 2) {
    const at = (word % 16) * 2;
    const a = flatMixings[at]!;
    const b = flatMixings[at + 1]!;
    const c = flatMixings[at + 2]!;
    const d = flatMixings[at + 3]!;
    mix(a, b, c, d, block[flatSchedule[word]!]!, block[flatSchedule[word + 1]!]!);
  }
  for (let word = 0; word < 8; word++) value[word] = state[word]! ^ state[word + 8]!;
}

/** Source: the specification, 2.2, the function G. */
function mix(a: number, b: number, c: number, d: number, x: number, y: number): void {
  state[a] = state[a]! + state[b]! + x;
  state[d] = rotate(state[d]! ^ state[a]!, 16);
  state[c] = state[c]! + state[d]!;
  state[b] = rotate(state[b]! ^ state[c]!, 12);
  state[a] = state[a]! + state[b]! + y;
  state[d] = rotate(state[d]! ^ state[a]!, 8);
  state[c] = state[c]! + state[d]!;
  state[b] = rotate(state[b]! ^ state[c]!, 7);
}

function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}
