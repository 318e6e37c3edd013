import { instructions } from '../../isa/table.ts';
import { type Handler, handlers, numberAt } from './handlers.ts';
import { NUMBER_BITS } from './special.ts';

/** Two instructions that follow each other, executed by one handler. */
export interface Pair {
  readonly first: Handler;
  /** Bytes from the first one's slot to the second one's: 8 or 16. */
  readonly step: number;
  readonly second: Handler;
}

/**
 * What follows each other most often in compilers, interpreters and a kernel: what comes first, compressed where
 * there is a `.c`, and then.
 */
const common: readonly (readonly [string, string])[] = [
  ['ld.c', 'ld addi add sd beq bne'],
  ['ld', 'ld addi add beq bne'],
  ['sd.c', 'sd add addi'],
  ['sd', 'sd'],
  ['add.c', 'add ld addi sd lw auipc jal'],
  ['addi.c', 'addi add sd ld jalr beq bne auipc jal'],
  ['addi', 'addi add beq bne'],
  ['auipc', 'jalr ld addi'],
  ['lui', 'addi ld'],
  ['slli', 'srli add'],
  ['slli.c', 'add srli'],
  ['lw.c', 'addi'],
  ['lbu', 'addi beq'],
  ['beq', 'ld addi'],
  ['bne', 'ld'],
  ['beq.c', 'ld lw'],
];

const COMPRESSED = /\.c$/;

export const pairs: readonly Pair[] = common.flatMap(([name, others]) => {
  const step = COMPRESSED.test(name) ? 8 : 16;
  const firsts = named(name.replace(COMPRESSED, '')).filter(
    ({ way }) => way !== 'back' && way !== 'far',
  );
  return firsts.flatMap((first) =>
    others
      .split(' ')
      .flatMap(named)
      .map((second) => ({ first, step, second })),
  );
});

function named(name: string): Handler[] {
  const instruction = instructions.find((each) => each.name === name);
  return handlers.filter((each) => each.instruction === instruction);
}

const keyOf = (first: number, step: number, second: number): number =>
  2 * (first * (NUMBER_BITS + 1) + second) + (step >> 4);

const FIRST_PAIR = numberAt(handlers.length);
const numbers: ReadonlyMap<number, number> = new Map(
  pairs.map(({ first, step, second }, at) => [
    keyOf(numberAt(handlers.indexOf(first)), step, numberAt(handlers.indexOf(second))),
    FIRST_PAIR + at,
  ]),
);

/** The number of the handler of two instructions by those of their own, if there is one. */
export const pairOf = (first: number, step: number, second: number): number | undefined =>
  numbers.get(keyOf(first, step, second));
