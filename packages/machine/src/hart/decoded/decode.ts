import { expandCompressed } from '../../isa/expand.ts';
import type { Instruction } from '../../isa/instruction.ts';
import { findInstruction } from '../../isa/table.ts';
import { jumps } from './handlers.ts';
import { pairOf } from './pairs.ts';
import { slotOf, stepBits } from './slots.ts';
import { NUMBER_BITS, OPERAND_BITS } from './special.ts';

/** What a compressed instruction stands for. */
interface Expanded {
  readonly word: number;
  readonly instruction: Instruction | undefined;
}

const expanded: (Expanded | undefined)[] = new Array(0x10000);

function expand(half: number): Expanded {
  let known = expanded[half];
  if (known === undefined) {
    const word = expandCompressed(half);
    known = { word, instruction: findInstruction(word) };
    expanded[half] = known;
  }
  return known;
}

/** Half-words of a page. */
const HALVES = 2048;

/**
 * Fills slots of a page from its half-word `start` on, up to a jump, or to what is decoded: `halves[half]` is
 * that half-word, `words[slot]` the first of the two words of its slot.
 */
export function decodeFrom(
  halves: Uint16Array,
  half: number,
  words: Int32Array,
  slot: number,
  start: number,
): void {
  let before = 0;
  let step = 0;
  for (
    let at = 0;
    start + at < HALVES && (words[slot + 2 * at]! & NUMBER_BITS) === 0;
    at += step / 8
  ) {
    const lower = halves[half + at]!;
    const size = (lower & 3) === 3 ? 4 : 2;
    const { word, instruction } = size === 2 ? expand(lower) : whole(lower, halves[half + at + 1]!);
    const { low, high } = slotOf(instruction, word, size, 2 * (start + at));
    words[slot + 2 * at] = low;
    words[slot + 2 * at + 1] = high;
    const pair = pairOf(before & NUMBER_BITS, step, low & NUMBER_BITS);
    if (pair !== undefined) {
      words[slot + 2 * at - step / 4] = (before & OPERAND_BITS) | stepBits(step + 4 * size) | pair;
    }
    if (instruction !== undefined && jumps(instruction)) return;
    before = low;
    step = 4 * size;
  }
}

function whole(lower: number, upper: number): Expanded {
  const word = (lower | (upper << 16)) >>> 0;
  return { word, instruction: findInstruction(word) };
}
