import { decodeImmediate } from '../../isa/encode.ts';
import { expandCompressed } from '../../isa/expand.ts';
import { type Instruction, immediateOf } from '../../isa/instruction.ts';
import type { Stmt } from '../../isa/ir.ts';
import { isRelative } from '../../isa/lower.ts';
import { findInstruction } from '../../isa/table.ts';
import { compiledCsrs } from './csrs.ts';

/** One instruction at its place. Offsets count from the start of the region's first page. */
export interface Step {
  readonly offset: number;
  /** 2 or 4. */
  readonly size: number;
  /** The instruction of 32 bits, for a compressed one its expansion. */
  readonly word: number;
  readonly instruction: Instruction;
  readonly immediate: number;
}

/** The half-word at an (even) offset, undefined where no code is known. */
export type ReadHalf = (offset: number) => number | undefined;

/** Undefined where the interpreter is to have it: illegal, or not known wholly. */
export function decode(read: ReadHalf, offset: number): Step | undefined {
  const half = read(offset);
  if (half === undefined) return undefined;
  const size = (half & 3) === 3 ? 4 : 2;
  const upper = size === 4 ? read(offset + 2) : 0;
  if (upper === undefined) return undefined;
  const word = size === 2 ? expandCompressed(half) : (half | (upper << 16)) >>> 0;
  return stepOf(offset, size, word);
}

/** The instruction `word`, of 32 bits; undefined where it is illegal. */
export function stepOf(offset: number, size: number, word: number): Step | undefined {
  const instruction = findInstruction(word);
  if (instruction === undefined) return undefined;
  const kind = immediateOf(instruction);
  const immediate = kind === undefined ? 0 : decodeImmediate(kind, word);
  return { offset, size, word, instruction, immediate };
}

/** How an instruction passes control on; `leave`: it is always the interpreter's. */
export type Flow = 'next' | 'branch' | 'jump' | 'indirect' | 'leave';

const flows = new WeakMap<Instruction, Flow>();

export function flowOf(instruction: Instruction): Flow {
  let flow = flows.get(instruction);
  if (flow === undefined) {
    flow = findFlow(instruction);
    flows.set(instruction, flow);
  }
  return flow;
}

function findFlow({ semantics }: Instruction): Flow {
  const last = semantics.at(-1)!;
  if (last.kind === 'branch') return 'branch';
  if (last.kind === 'jump') return isRelative(last.target) ? 'jump' : 'indirect';
  return semantics.some(needsInterpreter) ? 'leave' : 'next';
}

function needsInterpreter(stmt: Stmt): boolean {
  return stmt.kind === 'system' && stmt.action !== 'fence';
}

/** Whether it has no place in compiled code: it would leave each time. */
export function isForeign(step: Step): boolean {
  const { instruction, word } = step;
  if (flowOf(instruction) === 'leave') return true;
  return instruction.extension === 'Zicsr' && !compiledCsrs.has(word >>> 20);
}

export const rdOf = ({ word }: Step): number => (word >>> 7) & 31;
export const rs1Of = ({ word }: Step): number => (word >>> 15) & 31;

/** Whether a jump leaves its return address in a register. */
export const links = (step: Step): boolean => rdOf(step) !== 0;

/** Registers that the calling convention returns by: ra, and t0 of millicode. */
const isLink = (register: number): boolean => register === 1 || register === 5;

/** `ret`, or its like. */
export const isReturn = (step: Step): boolean =>
  !links(step) && isLink(rs1Of(step)) && step.immediate === 0;

/**
 * Where a branch or a jump goes, as far as the code says: an offset. `before` is the step before it,
 * which may be the auipc of a far jump.
 */
export function targetOf(step: Step, before: Step | undefined): number | undefined {
  if (flowOf(step.instruction) !== 'indirect') return step.offset + step.immediate;
  if (before?.instruction.name !== 'auipc' || rdOf(before) !== rs1Of(step)) return undefined;
  if (rdOf(before) === 0 || before.offset + before.size !== step.offset) return undefined;
  return (before.offset + before.immediate + step.immediate) & -2;
}
