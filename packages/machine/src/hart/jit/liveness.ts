import type { Instruction } from '../../isa/instruction.ts';
import type { Block, Region } from './region.ts';
import type { Step } from './step.ts';

/** Registers in one list: x0 to x31, then f0 to f31. */
export const FLOATS = 32;
const COUNT = 64;

const positions = { rd: 7, rs1: 15, rs2: 20, rs3: 27 } as const;
export type RegisterField = keyof typeof positions;

export const fieldOf = ({ word }: Step, field: RegisterField): number =>
  (word >>> positions[field]) & 31;

/** By which fields an instruction names what it reads and writes. */
interface Operands {
  readonly x: ReadonlySet<RegisterField>;
  readonly f: ReadonlySet<RegisterField>;
  readonly writes: 'x' | 'f' | undefined;
}

const known = new WeakMap<Instruction, Operands>();

function operandsOf(instruction: Instruction): Operands {
  let operands = known.get(instruction);
  if (operands === undefined) {
    const [x, f] = [new Set<RegisterField>(), new Set<RegisterField>()];
    collect(instruction.semantics, { x, f });
    const kinds = new Set(instruction.semantics.map(({ kind }) => kind));
    const writes =
      kinds.has('setX') || kinds.has('csr') ? 'x' : kinds.has('setF') ? 'f' : undefined;
    operands = { x, f, writes };
    known.set(instruction, operands);
  }
  return operands;
}

/** All register operands in a tree of semantics. */
function collect(node: unknown, into: Readonly<Record<'x' | 'f', Set<RegisterField>>>): void {
  if (typeof node !== 'object' || node === null) return;
  const { kind, operand } = node as { kind?: unknown; operand?: RegisterField };
  if ((kind === 'x' || kind === 'f') && operand !== undefined) into[kind].add(operand);
  for (const part of Object.values(node)) collect(part, into);
}

/** The register that a step writes; x0 is none. */
export function writtenBy(step: Step): number | undefined {
  const { writes } = operandsOf(step.instruction);
  if (writes === undefined) return undefined;
  const number = fieldOf(step, 'rd');
  if (writes === 'f') return FLOATS + number;
  return number === 0 ? undefined : number;
}

function readBy(step: Step): number[] {
  const { x, f } = operandsOf(step.instruction);
  return [
    ...[...x].map((field) => fieldOf(step, field)).filter((number) => number !== 0),
    ...[...f].map((field) => FLOATS + fieldOf(step, field)),
  ];
}

/**
 * Which registers the locals of a region must hold, block by block. A register is dirty where a way
 * from an entry wrote it: whoever leaves there writes it back, and so needs its value on each way.
 */
export class Liveness {
  /** Dirty where each block begins. */
  readonly dirty: readonly ReadonlySet<number>[];
  readonly #live: readonly Uint8Array[];

  constructor({ blocks }: Region) {
    const ways = blocks.map(successors);
    const written = blocks.map(({ steps }) => mark(steps.flatMap((step) => writtenBy(step) ?? [])));
    const dirty = blocks.map(() => new Uint8Array(COUNT));
    settle(blocks.length, (at) =>
      ways[at]!.some((to) => merge(dirty[to]!, dirty[at]!, written[at]!)),
    );
    this.dirty = dirty.map((marks) => new Set(numbers(marks)));
    const live = blocks.map((block, at) => exposed(block, dirty[at]!));
    settle(blocks.length, (at) =>
      ways[at]!.some((to) => mergeUnless(live[at]!, live[to]!, written[at]!)),
    );
    this.#live = live;
  }

  /** What an entry at a block loads. */
  loads(block: number): number[] {
    return numbers(this.#live[block]!);
  }
}

const successors = ({ follow, taken, back }: Block): number[] =>
  [follow, taken, back].filter((way) => way !== undefined);

function mark(registers: readonly number[]): Uint8Array {
  const marks = new Uint8Array(COUNT);
  for (const number of registers) marks[number] = 1;
  return marks;
}

const numbers = (marks: Uint8Array): number[] =>
  [...marks.keys()].filter((number) => marks[number] === 1);

/** Goes over all blocks until nothing changes; `visit` says whether it changed something. */
function settle(count: number, visit: (block: number) => boolean): void {
  for (let again = true; again; ) {
    again = false;
    for (let at = 0; at < count; at++) again = visit(at) || again;
  }
}

/** Adds `a` and `b` to `into`. Whether that changed anything. */
function merge(into: Uint8Array, a: Uint8Array, b: Uint8Array): boolean {
  let changed = false;
  for (let number = 0; number < COUNT; number++) {
    if (into[number] === 1 || (a[number] === 0 && b[number] === 0)) continue;
    into[number] = 1;
    changed = true;
  }
  return changed;
}

/** Adds to `into` what is in `from` and not in `except`. Whether that changed anything. */
function mergeUnless(into: Uint8Array, from: Uint8Array, except: Uint8Array): boolean {
  let changed = false;
  for (let number = 0; number < COUNT; number++) {
    if (into[number] === 1 || from[number] === 0 || except[number] === 1) continue;
    into[number] = 1;
    changed = true;
  }
  return changed;
}

/** What a block reads before it writes it; it may be left at its start, with what is dirty. */
function exposed({ steps }: Block, dirty: Uint8Array): Uint8Array {
  const marks = dirty.slice();
  const written = new Set<number>();
  for (const step of steps) {
    for (const number of readBy(step)) if (!written.has(number)) marks[number] = 1;
    const result = writtenBy(step);
    if (result !== undefined) written.add(result);
  }
  return marks;
}
