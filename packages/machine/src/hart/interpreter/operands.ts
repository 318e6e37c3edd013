import { type Code, get, i32, type Local, load, op } from '@anole/bytes/wasm';
import { type Instruction, immediateOf } from '../../isa/instruction.ts';
import { F, X } from '../layout.ts';

/** Decoding of operands at run time, from the instruction word in a local. */

const shr = (word: Local, by: number): Code => op('i32.shr_u', get(word), i32(by));
const and = (value: Code, mask: number): Code => op('i32.and', value, i32(mask));
const or = (...values: readonly Code[]): Code => values.reduce((a, b) => op('i32.or', a, b));

/** Byte offset of a register within its file: the field at `low`, times 8. */
function registerOffset(word: Local, low: number): Code {
  return and(shr(word, low - 3), 0xf8);
}

const positions = { rd: 7, rs1: 15, rs2: 20, rs3: 27 } as const;
export type RegisterField = keyof typeof positions;

export const registerAt = (word: Local, field: RegisterField): Code =>
  registerOffset(word, positions[field]);

export const readX = (word: Local, field: RegisterField): Code =>
  load('i64.load', registerAt(word, field), X);

export const readF = (word: Local, field: RegisterField): Code =>
  load('i64.load', registerAt(word, field), F);

/** The immediate as i32; all of them fit. */
export function immediate32(word: Local, instruction: Instruction): Code {
  const kind = immediateOf(instruction);
  switch (kind) {
    case 'I':
      return op('i32.shr_s', get(word), i32(20));
    case 'S':
      return or(and(op('i32.shr_s', get(word), i32(20)), -32), and(shr(word, 7), 31));
    case 'B':
      return branchOffset(word);
    case 'U':
      return and(get(word), 0xfffff000);
    case 'J':
      return or(
        and(op('i32.shr_s', get(word), i32(11)), -0x100000),
        and(get(word), 0xff000),
        and(shr(word, 9), 0x800),
        and(shr(word, 20), 0x7fe),
      );
    case 'shamt5':
      return and(shr(word, 20), 31);
    case 'shamt6':
      return and(shr(word, 20), 63);
    case 'zimm':
      return and(shr(word, 15), 31);
    case undefined:
      return i32(0);
  }
}

export function branchOffset(word: Local): Code {
  return or(
    and(op('i32.shr_s', get(word), i32(19)), -0x1000),
    and(op('i32.shl', get(word), i32(4)), 0x800),
    and(shr(word, 20), 0x7e0),
    and(shr(word, 7), 0x1e),
  );
}

/** Offset from EXPANSIONS of the entry for the half-word in the lower bits of `word`. */
export function expansionOffset(word: Local): Code {
  const upper = op('i32.and', get(word), i32(0xfffc));
  return op('i32.or', upper, op('i32.shl', op('i32.and', get(word), i32(3)), i32(16)));
}
