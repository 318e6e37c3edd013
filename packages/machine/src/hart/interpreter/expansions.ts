import { type Code, get, type Local } from '@anole/bytes/wasm';
import { expandCompressed } from '../../isa/expand.ts';
import type { Instruction } from '../../isa/instruction.ts';
import { findInstruction } from '../../isa/table.ts';
import { and32 } from './slots.ts';

/** What tells instructions apart from others by their major opcode is known of an expansion. */
const NUMBER_BITS = 0x7f;
/** The number of halves that are illegal: that of no instruction. */
const ILLEGAL = NUMBER_BITS;

/** Instructions that have a compressed form, in the order of their numbers. */
export const compressible: readonly Instruction[] = [
  ...new Set(Array.from({ length: 0x10000 }, (_, half) => findInstruction(expandCompressed(half)))),
].filter((each) => each !== undefined);

/**
 * For each half-word the instruction of 32 bits that it stands for, but with its number among
 * {@link compressible} in place of its major opcode. One word for each: what a program executes of the
 * table is to stay in the host's caches.
 */
export function expansionTable(): Uint32Array<ArrayBuffer> {
  const numbers = new Map(compressible.map((each, number) => [each, number]));
  const table = new Uint32Array(0x10000).fill(ILLEGAL);
  for (let half = 0; half < table.length; half++) {
    const word = expandCompressed(half);
    const instruction = findInstruction(word);
    if (instruction === undefined) continue;
    table[half] = (word & ~NUMBER_BITS) | numbers.get(instruction)!;
  }
  return table;
}

/** The number of the instruction that `word` of the table stands for. */
export const expansionOf = (word: Local): Code => and32(get(word), NUMBER_BITS);
