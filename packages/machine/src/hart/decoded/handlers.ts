import type { Instruction } from '../../isa/instruction.ts';
import { isRelative } from '../../isa/lower.ts';
import { instructions } from '../../isa/table.ts';
import { Special } from './special.ts';

export const SlotField = {
  rd: 2,
  rs1: 3,
  immediate: 4,
  rs2: 4,
  rs3: 5,
  rm: 6,
};

/**
 * How a jump or a branch reaches its target: `near` forward in the page, `back` in the page too, but counted as
 * what may be worth compiling; the immediate counts bytes of slots then. `far`: by the TLB.
 */
export type Way = 'near' | 'back' | 'far';
const wayNames: readonly Way[] = ['near', 'back', 'far'];

export interface Handler {
  readonly instruction: Instruction;
  /** Undefined where the target is in a register, or there is none. */
  readonly way: Way | undefined;
  /** Whether rd is written: false for jumps that leave no return address. */
  readonly writes: boolean;
}

/** Whether it is always the slow step's. */
export const isLeft = ({ semantics }: Instruction): boolean =>
  semantics.some(
    (part) => part.kind === 'csr' || (part.kind === 'system' && part.action !== 'fence'),
  );

/** Whether it goes to pc + immediate. */
export const goesRelative = ({ semantics }: Instruction): boolean => {
  const last = semantics.at(-1)!;
  return last.kind === 'branch' || (last.kind === 'jump' && isRelative(last.target));
};

export const jumps = ({ semantics }: Instruction): boolean => semantics.at(-1)!.kind === 'jump';

/** All that the decoded loop executes: the first one's number follows those of {@link Special}. */
export const handlers: readonly Handler[] = instructions.flatMap(handlersOf);

function handlersOf(instruction: Instruction): Handler[] {
  if (isLeft(instruction)) return [];
  if (!goesRelative(instruction)) return [{ instruction, way: undefined, writes: true }];
  const ways: Handler[] = wayNames.map((way) => ({ instruction, way, writes: true }));
  if (!jumps(instruction)) return ways;
  // What leaves a return address is counted.
  const idle = ways.map((each) => ({ ...each, writes: false }));
  return [...ways.slice(1), ...idle];
}

/** The number of the handler at an index of {@link handlers}. */
export const numberAt = (index: number): number => Object.keys(Special).length + index;

const keyOf = (name: string, way: Way | undefined, writes: boolean): string =>
  `${name} ${way} ${writes}`;
const numbers: ReadonlyMap<string, number> = new Map(
  handlers.map(({ instruction, way, writes }, at) => [
    keyOf(instruction.name, way, writes),
    numberAt(at),
  ]),
);

/** The number of a handler; {@link Special}.leave where there is none. */
export const numberOf = (name: string, way: Way | undefined, writes: boolean): number =>
  numbers.get(keyOf(name, way, writes)) ?? Special.leave;
