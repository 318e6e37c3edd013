import type { Instruction } from '../../isa/instruction.ts';
import { F, X } from '../layout.ts';
import type { Block, Region } from './region.ts';
import type { Step } from './step.ts';

/** Registers in one list: x0 to x31, then f0 to f31. */
export const FLOATS = 32;

/** Where a register of the guest is kept outside of compiled code. */
export const slotOf = (number: number): number =>
  number < FLOATS ? X + 8 * number : F + 8 * (number - FLOATS);

const positions = { rd: 7, rs1: 15, rs2: 20, rs3: 27 } as const;
export type RegisterField = keyof typeof positions;

export const fieldOf = ({ word }: Step, field: RegisterField): number =>
  (word >>> positions[field]) & 31;

/** By which fields an instruction names what it reads and writes. */
interface Operands {
  readonly x: readonly RegisterField[];
  readonly f: readonly RegisterField[];
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
    operands = { x: [...x], f: [...f], writes };
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

/** Registers as bits: x in the first word, f in the second. */
class RegisterSet {
  x = 0;
  f = 0;

  add(number: number): void {
    if (number < FLOATS) this.x |= 1 << number;
    else this.f |= 1 << (number - FLOATS);
  }

  has(number: number): boolean {
    return (((number < FLOATS ? this.x : this.f) >>> (number & 31)) & 1) === 1;
  }

  /** Adds what is in `a` or `b`. Whether that changed anything. */
  merge(a: RegisterSet, b: RegisterSet): boolean {
    return this.#become(this.x | a.x | b.x, this.f | a.f | b.f);
  }

  /** Adds what is in `other` and not in `except`. Whether that changed anything. */
  mergeUnless(other: RegisterSet, except: RegisterSet): boolean {
    return this.#become(this.x | (other.x & ~except.x), this.f | (other.f & ~except.f));
  }

  numbers(): number[] {
    const numbers: number[] = [];
    for (let x = this.x; x !== 0; x &= x - 1) numbers.push(31 - Math.clz32(x & -x));
    for (let f = this.f; f !== 0; f &= f - 1) numbers.push(FLOATS + 31 - Math.clz32(f & -f));
    return numbers;
  }

  #become(x: number, f: number): boolean {
    if (x === this.x && f === this.f) return false;
    this.x = x;
    this.f = f;
    return true;
  }
}

/**
 * Which registers the locals of a region must hold, block by block. A register is dirty where a way
 * from an entry wrote it: whoever leaves there writes it back, and so needs its value on each way.
 */
export class Liveness {
  readonly #dirty: readonly RegisterSet[];
  readonly #live: readonly RegisterSet[];

  constructor({ blocks }: Region) {
    const ways = blocks.map(waysOf);
    const written = blocks.map(writtenIn);
    this.#dirty = blocks.map(() => new RegisterSet());
    settle(blocks.length, false, (at) =>
      merged(ways[at]!, (to) => this.#dirty[to]!.merge(this.#dirty[at]!, written[at]!)),
    );
    this.#live = blocks.map((block, at) => exposed(block, this.#dirty[at]!));
    settle(blocks.length, true, (at) =>
      merged(ways[at]!, (to) => this.#live[at]!.mergeUnless(this.#live[to]!, written[at]!)),
    );
  }

  /** Dirty where a block begins. */
  dirty(block: number): number[] {
    return this.#dirty[block]!.numbers();
  }

  /** What an entry at a block loads. */
  loads(block: number): number[] {
    return this.#live[block]!.numbers();
  }
}

/** The blocks that a block may go to. */
export const waysOf = ({ follow, taken, back }: Block): number[] =>
  [follow, taken, back].filter((way) => way !== undefined);

/** Goes over all blocks until nothing changes; `visit` says whether it changed something. */
function settle(count: number, backwards: boolean, visit: (block: number) => boolean): void {
  for (let again = true; again; ) {
    again = false;
    for (let at = 0; at < count; at++) again = visit(backwards ? count - 1 - at : at) || again;
  }
}

/** Visits all ways; whether any visit changed something. */
function merged(ways: readonly number[], visit: (to: number) => boolean): boolean {
  let changed = false;
  for (const to of ways) changed = visit(to) || changed;
  return changed;
}

function writtenIn({ steps }: Block): RegisterSet {
  const set = new RegisterSet();
  for (const step of steps) {
    const number = writtenBy(step);
    if (number !== undefined) set.add(number);
  }
  return set;
}

/** What a block reads before it writes it; it may be left at its start, with what is dirty. */
function exposed({ steps }: Block, dirty: RegisterSet): RegisterSet {
  const set = new RegisterSet();
  set.merge(dirty, dirty);
  const written = new RegisterSet();
  for (const step of steps) {
    const { x, f } = operandsOf(step.instruction);
    for (const field of x) {
      const number = fieldOf(step, field);
      if (number !== 0 && !written.has(number)) set.add(number);
    }
    for (const field of f) {
      const number = FLOATS + fieldOf(step, field);
      if (!written.has(number)) set.add(number);
    }
    const result = writtenBy(step);
    if (result !== undefined) written.add(result);
  }
  return set;
}
