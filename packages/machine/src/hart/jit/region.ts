import { decodeImmediate } from '../../isa/encode.ts';
import { expandCompressed } from '../../isa/expand.ts';
import { type Instruction, immediateOf } from '../../isa/instruction.ts';
import type { Stmt } from '../../isa/ir.ts';
import { isRelative } from '../../isa/lower.ts';
import { findInstruction } from '../../isa/table.ts';

/** One instruction at its place in the page. */
export interface Step {
  readonly offset: number;
  /** 2 or 4. */
  readonly size: number;
  /** The instruction of 32 bits, for a compressed one its expansion. */
  readonly word: number;
  readonly instruction: Instruction;
  readonly immediate: number;
}

/** A straight line of one instruction or more. Its last one may jump; else it goes on at `next`. */
export interface Block {
  readonly offset: number;
  readonly steps: readonly Step[];
  readonly next: number;
}

/** Code that is compiled together: blocks of one page in the order of their offsets. */
export interface Region {
  /** Offsets in the page at which it is entered: at each of them a block starts. May be none. */
  readonly entries: readonly number[];
  readonly blocks: readonly Block[];
}

const PAGE = 4096;
/** Instructions of a region: for the first entry, and for each one. */
const LIMIT = 192;
const LIMIT_EACH = 64;

/** How an instruction passes control on. */
type Flow = 'next' | 'branch' | 'jump' | 'indirect' | 'leave';

/**
 * Follows the code from `entries` (even) through the 4096 bytes of `page`, as far as it is not
 * among `known`, which other regions are entered at. Entries whose first instruction is one for the
 * interpreter are left out.
 */
export function findRegion(
  page: Uint8Array,
  entries: readonly number[],
  known: ReadonlySet<number> = new Set(),
): Region {
  const { steps, leaders } = explore(page, entries, known);
  const blocks = [...leaders]
    .sort((a, b) => a - b)
    .filter((offset) => steps.has(offset))
    .map((offset) => blockAt(offset, steps, leaders));
  return { entries: entries.filter((offset) => steps.has(offset)), blocks };
}

/** Where a branch or a direct jump goes: an offset that may lie outside of the page. */
export function targetOf(step: Step): number {
  return step.offset + step.immediate;
}

export function flowOf({ semantics }: Instruction): Flow {
  const last = semantics.at(-1)!;
  if (last.kind === 'branch') return 'branch';
  if (last.kind === 'jump') return isRelative(last.target) ? 'jump' : 'indirect';
  return semantics.some(needsInterpreter) ? 'leave' : 'next';
}

function needsInterpreter(stmt: Stmt): boolean {
  if (stmt.kind === 'csr') return true;
  return stmt.kind === 'system' && stmt.action !== 'fence' && stmt.action !== 'fence.i';
}

/** Nearest code first: what follows, then targets. */
function explore(page: Uint8Array, entries: readonly number[], known: ReadonlySet<number>) {
  const steps = new Map<number, Step>();
  const leaders = new Set(entries);
  const todo = [...entries];
  const limit = LIMIT + LIMIT_EACH * entries.length;
  const enter = (offset: number): void => {
    if (offset < 0 || offset >= PAGE) return;
    leaders.add(offset);
    todo.push(offset);
  };
  for (let from = todo.shift(); from !== undefined; from = todo.shift()) {
    for (let offset = from; !steps.has(offset) && steps.size < limit; ) {
      if (known.has(offset)) break;
      const step = decode(page, offset);
      if (step === undefined) break;
      const flow = flowOf(step.instruction);
      if (flow === 'leave') break;
      steps.set(offset, step);
      offset += step.size;
      if (flow === 'next') continue;
      // A jump that links is a call: what it calls is a region of its own.
      if (flow === 'branch' || (flow === 'jump' && !links(step))) enter(targetOf(step));
      if (flow === 'branch') enter(offset);
      break;
    }
  }
  return { steps, leaders };
}

export const links = ({ word }: Step): boolean => ((word >>> 7) & 31) !== 0;

function blockAt(
  offset: number,
  steps: ReadonlyMap<number, Step>,
  leaders: ReadonlySet<number>,
): Block {
  const line: Step[] = [];
  let next = offset;
  for (;;) {
    const step = steps.get(next);
    if (step === undefined) return { offset, steps: line, next };
    line.push(step);
    next += step.size;
    const ends = flowOf(step.instruction) !== 'next' || leaders.has(next);
    if (ends) return { offset, steps: line, next };
  }
}

/** Undefined where the interpreter is to have it: illegal, or on two pages. */
function decode(page: Uint8Array, offset: number): Step | undefined {
  if (offset + 2 > PAGE) return undefined;
  const half = page[offset]! | (page[offset + 1]! << 8);
  const size = (half & 3) === 3 ? 4 : 2;
  if (offset + size > PAGE) return undefined;
  const word =
    size === 2
      ? expandCompressed(half)
      : (half | (page[offset + 2]! << 16) | (page[offset + 3]! << 24)) >>> 0;
  const instruction = findInstruction(word);
  if (instruction === undefined) return undefined;
  const kind = immediateOf(instruction);
  const immediate = kind === undefined ? 0 : decodeImmediate(kind, word);
  return { offset, size, word, instruction, immediate };
}
