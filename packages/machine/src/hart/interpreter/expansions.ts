import { expandCompressed } from '../../isa/expand.ts';
import type { Instruction } from '../../isa/instruction.ts';
import { findInstruction } from '../../isa/table.ts';

/** The lower bits of an entry: which instruction it is, in place of what its opcode says. */
export const CODE_BITS = 0x7f;

export interface Expansions {
  /** See EXPANSIONS in {@link ../layout.ts}. */
  readonly table: Uint32Array<ArrayBuffer>;
  /** What compressed instructions stand for, by the code in the lower bits of an entry. */
  readonly instructions: readonly Instruction[];
}

let made: Expansions | undefined;

/** What half-words stand for. Made once. */
export function expansions(): Expansions {
  made ??= make();
  return made;
}

function make(): Expansions {
  const codes = new Map<Instruction, number>();
  const table = new Uint32Array(0x10000);
  for (let half = 0; half < 0x10000; half++) {
    const word = expandCompressed(half);
    const instruction = findInstruction(word);
    let code = CODE_BITS;
    if (instruction !== undefined) {
      code = codes.get(instruction) ?? codes.size;
      codes.set(instruction, code);
    }
    table[(half >>> 2) | ((half & 3) << 14)] = (word & ~CODE_BITS) | code;
  }
  return { table, instructions: [...codes.keys()] };
}
