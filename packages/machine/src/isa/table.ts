import type { Instruction } from './instruction.ts';
import { rv64a } from './rv64a.ts';
import { zba, zbb, zbs } from './rv64b.ts';
import { rv64fd } from './rv64f.ts';
import { rv64i } from './rv64i.ts';
import { rv64m } from './rv64m.ts';
import { systemInstructions } from './system.ts';

/**
 * Every instruction of 32 bits. Compressed ones are expansions to these: see {@link ./expand.ts}.
 * Interpreter, disassembler, assembler and the random programs of the tests come from here.
 */
export const instructions: readonly Instruction[] = [
  ...rv64i,
  ...rv64m,
  ...rv64a,
  ...rv64fd,
  ...zba,
  ...zbb,
  ...zbs,
  ...systemInstructions,
];

/** The instruction a word encodes, or undefined where it is illegal. `word` is unsigned. */
export function findInstruction(word: number): Instruction | undefined {
  for (const candidate of buckets[(word >>> 2) & 31]!) {
    if ((word & candidate.mask) >>> 0 === candidate.match) {
      return (word & 3) === 3 ? candidate : undefined;
    }
  }
  return undefined;
}

const buckets: readonly (readonly Instruction[])[] = Array.from({ length: 32 }, (_, major) =>
  instructions.filter(({ match }) => ((match >>> 2) & 31) === major),
);
