import { decodeImmediate } from '../../isa/encode.ts';
import { type Instruction, immediateOf } from '../../isa/instruction.ts';
import type { Stmt } from '../../isa/ir.ts';
import { instructions } from '../../isa/table.ts';
import { goesRelative, jumps, numberOf } from './handlers.ts';
import { Special } from './special.ts';

const PAGE = 4096;

/**
 * Instructions in the form that the decoded loop executes: for each half-word of a page a slot of 8 bytes,
 * as if an instruction began there.
 *
 * | Byte | |
 * |---|---|
 * | 0, 1 | in bits 0 to 10 the number of its handler: one of {@link Special}, of `handlers` or of `pairs`; in bits 11 to 13 to how many slots further on the next instruction is |
 * | 2 | rd times 8; rs2 where there is no rd |
 * | 3 | rs1 times 8 |
 * | 4 to 7 | the immediate; else bytes: rs2 times 8, rs3 times 8, rm |
 */
export interface Slot {
  readonly low: number;
  readonly high: number;
}

/** What an instruction is, whatever its operands. */
interface Shape {
  readonly number: number;
  readonly immediate: ReturnType<typeof immediateOf>;
  readonly hasRd: boolean;
  readonly relative: boolean;
  readonly jumps: boolean;
  readonly writesX: boolean;
  /** Whether all that it does is writing a register. */
  readonly isPure: boolean;
}

function shapeOf(instruction: Instruction): Shape {
  const { semantics, fields } = instruction;
  return {
    number: numberOf(instruction.name, undefined, true),
    immediate: immediateOf(instruction),
    hasRd: fields.has('rd'),
    relative: goesRelative(instruction),
    jumps: jumps(instruction),
    writesX: semantics.some(({ kind }) => kind === 'setX'),
    isPure: semantics.every(isPure),
  };
}

const impure: ReadonlySet<unknown> = new Set([
  'load',
  'loadReserved',
  'storeConditional',
  'atomic',
  'float',
  'needsFloat',
]);

function isPure(part: Stmt): boolean {
  const visit = (node: unknown): boolean => {
    if (typeof node !== 'object' || node === null) return true;
    if (impure.has((node as { kind?: unknown }).kind)) return false;
    return Object.values(node).every(visit);
  };
  return (part.kind === 'let' || part.kind === 'setX') && visit(part);
}

const shapes: ReadonlyMap<Instruction, Shape> = new Map(
  instructions.map((instruction) => [instruction, shapeOf(instruction)]),
);

const leaving: Slot = { low: Special.leave, high: 0 };
/** A step of so many bytes, as a slot's first word has it. */
export const stepBits = (bytes: number): number => bytes << 8;

/** The slot of `word`, an instruction of 32 bits that takes `size` bytes at `offset` of its page. */
export function slotOf(
  instruction: Instruction | undefined,
  word: number,
  size: number,
  offset: number,
): Slot {
  if (instruction === undefined || offset + size > PAGE) return leaving;
  const shape = shapes.get(instruction)!;
  const rd = (word >>> 7) & 31;
  const operands = stepBits(4 * size);
  const rs1 = ((word >>> 15) & 31) << 27;
  const rs2 = ((word >>> 20) & 31) << 3;
  if (shape.relative) return relativeSlot(instruction, shape, word, operands | rs1, offset);
  if (shape.writesX && rd === 0 && !shape.jumps) {
    return shape.isPure ? { low: Special.idle | operands, high: 0 } : leaving;
  }
  const low = shape.number | operands | rs1 | ((shape.hasRd ? rd << 3 : rs2) << 16);
  if (shape.immediate !== undefined) return { low, high: decodeImmediate(shape.immediate, word) };
  const rs3 = ((word >>> 27) & 31) << 3;
  return { low, high: rs2 | (rs3 << 8) | (((word >>> 12) & 7) << 16) };
}

function relativeSlot(
  instruction: Instruction,
  { immediate, hasRd }: Shape,
  word: number,
  operands: number,
  offset: number,
): Slot {
  const by = decodeImmediate(immediate!, word);
  const target = offset + by;
  const field = (word >>> (hasRd ? 7 : 20)) & 31;
  const links = hasRd && field !== 0;
  const isNear = target >= 0 && target < PAGE;
  const way = isNear ? (by > 0 && !links ? 'near' : 'back') : 'far';
  const number = numberOf(instruction.name, way, !hasRd || links);
  return { low: number | operands | (field << 19), high: isNear ? 4 * by : by };
}
