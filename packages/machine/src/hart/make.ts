/** What harts are made of is made of these: loaded where it is not kept. */
import { expandCompressed } from '../isa/expand.ts';
import { findInstruction, instructions } from '../isa/table.ts';

export { hasFusedMultiplyAdd } from './interpreter/has-fused.ts';
export { interpreterModule } from './interpreter/module.ts';

/** A word of a major opcode that nothing uses, for halves that are illegal. */
const ILLEGAL = 0xffffffff;

/** See EXPANSIONS in {@link ./layout.ts}. */
export function expansionTable(): Uint32Array<ArrayBuffer> {
  const indexes = new Map(instructions.map((each, index) => [each, index]));
  const table = new Uint32Array(0x20000);
  for (let half = 0; half < 0x10000; half++) {
    const word = expandCompressed(half) || ILLEGAL;
    const instruction = findInstruction(word);
    const at = 2 * ((half >>> 2) | ((half & 3) << 14));
    table[at] = word;
    table[at + 1] = instruction === undefined ? ILLEGAL : indexes.get(instruction)!;
  }
  return table;
}
