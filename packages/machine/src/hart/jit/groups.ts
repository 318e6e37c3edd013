import {
  assembleTemplate,
  brIf,
  get,
  i32Hole,
  i64Hole,
  label,
  load,
  localHole,
  op,
  set,
  type Template,
} from '@anole/bytes/wasm';
import type { Instruction } from '../../isa/instruction.ts';
import type { Expr, Width } from '../../isa/ir.ts';
import { add64, and32, and64, wrap } from '../interpreter/slots.ts';
import { entryOf, STORES } from '../interpreter/tlb-access.ts';
import { commonLocals } from './common.ts';
import { fieldOf, writtenBy } from './liveness.ts';
import type { Step } from './step.ts';

const PAGE = 4096;
/** Bytes that accesses of a group may be apart: the more, the more often they are not in one page. */
const REACH = 1024;

/**
 * Loads, or stores, of one block whose addresses differ by constants: the TLB is asked once for all of
 * them, and what does not lie in one page is the interpreter's.
 */
export interface Group {
  readonly kind: 'load' | 'store';
  /** The register that holds the address. */
  readonly base: number;
  /** From what it holds, bytes that the group takes: the first one is aligned to `width`. */
  readonly low: number;
  readonly length: number;
  /** Bytes of its widest access. */
  readonly width: Width;
  /** Indexes of its steps in the block, ascending. Two or more. */
  readonly members: readonly number[];
}

/** Groups of a block by the indexes of their steps. */
export function groupsOf(steps: readonly Step[]): ReadonlyMap<number, Group> {
  const groups = new Map<number, Group>();
  const open = new Map<number, GroupMaker>();
  const close = (key: number): void => {
    open.get(key)?.finish(groups);
    open.delete(key);
  };
  for (const [index, step] of steps.entries()) {
    const access = accessOf(step.instruction);
    const base = fieldOf(step, 'rs1');
    if (access !== undefined && base !== 0) {
      const key = 2 * base + Number(access.kind === 'store');
      if (open.get(key)?.add(index, step.immediate, access.width) !== true) {
        close(key);
        open.set(key, new GroupMaker(access.kind, base, index, step.immediate, access.width));
      }
    }
    // sstatus decides which translations count.
    if (step.instruction.extension === 'Zicsr') for (const key of open.keys()) close(key);
    const written = writtenBy(step);
    if (written === undefined) continue;
    close(2 * written);
    close(2 * written + 1);
  }
  for (const key of open.keys()) close(key);
  return groups;
}

class GroupMaker {
  readonly #kind: 'load' | 'store';
  readonly #base: number;
  readonly #members: number[];
  #low: number;
  #end: number;
  #width: Width;

  constructor(kind: 'load' | 'store', base: number, index: number, offset: number, width: Width) {
    this.#kind = kind;
    this.#base = base;
    this.#members = [index];
    this.#low = offset;
    this.#end = offset + width;
    this.#width = width;
  }

  /** Whether the access belongs here: it is near, and aligned wherever the others are. */
  add(index: number, offset: number, width: Width): boolean {
    const widest = Math.max(width, this.#width) as Width;
    // What is narrower is aligned to its own width wherever what is wider is.
    if ((offset - this.#low) % Math.min(width, this.#width) !== 0) return false;
    const low = alignedBelow(
      Math.min(offset, this.#low),
      width > this.#width ? offset : this.#low,
      widest,
    );
    const end = Math.max(this.#end, offset + width);
    if (end - low > REACH) return false;
    this.#low = low;
    this.#end = end;
    this.#width = widest;
    this.#members.push(index);
    return true;
  }

  finish(groups: Map<number, Group>): void {
    if (this.#members.length < 2) return;
    const [low, length] = [this.#low, this.#end - this.#low];
    const group = {
      kind: this.#kind,
      base: this.#base,
      low,
      length,
      width: this.#width,
      members: this.#members,
    };
    for (const index of this.#members) groups.set(index, group);
  }
}

/** The greatest offset up to `offset` that is a multiple of `width` away from `anchor`. */
const alignedBelow = (offset: number, anchor: number, width: number): number =>
  anchor - Math.ceil((anchor - offset) / width) * width;

interface Access {
  readonly kind: 'load' | 'store';
  readonly width: Width;
}

const accesses = new WeakMap<Instruction, Access | { readonly kind: 'none' }>();

/** Undefined for what is no plain load or store at rs1 + immediate. */
function accessOf(instruction: Instruction): Access | undefined {
  let access = accesses.get(instruction);
  if (access === undefined) {
    access = findAccess(instruction) ?? { kind: 'none' };
    accesses.set(instruction, access);
  }
  return access.kind === 'none' ? undefined : access;
}

function findAccess({ semantics }: Instruction): Access | undefined {
  const found: Access[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { kind, width, address } = node as { kind?: unknown; width?: Width; address?: Expr };
    if ((kind === 'load' || kind === 'store') && isPlain(address!))
      found.push({ kind, width: width! });
    for (const part of Object.values(node)) visit(part);
  };
  visit(semantics);
  return found.length === 1 ? found[0] : undefined;
}

const isPlain = (address: Expr): boolean =>
  address.kind === 'op' && address.args[0]?.kind === 'x' && address.args[1]?.kind === 'immediate';

/** What the check of a group is filled with. */
const hole = { base: 0, low: 1, room: 2, leave: 3, delta: 4, work: 5 };
const checks = new Map<string, Template>();

/**
 * Asks the TLB for a group, once it is known to lie in one page: `delta` gets what to add to its addresses. To
 * be filled with {@link checkNumbers}.
 */
export function checkOf({ kind, width }: Group): Template {
  const key = `${kind}${width}`;
  let check = checks.get(key);
  if (check === undefined) {
    check = makeCheck(kind, width);
    checks.set(key, check);
  }
  return check;
}

/** @param leave see `leavingAt` */
export function checkNumbers(
  { low, length }: Group,
  leave: number,
  locals: Readonly<Record<'base' | 'delta' | 'work', { readonly index: number }>>,
): number[] {
  return [locals.base.index, low, PAGE - length, leave, locals.delta.index, locals.work.index];
}

function makeCheck(kind: 'load' | 'store', width: Width): Template {
  const slow = label('leave');
  const { leaving, entry, data } = commonLocals;
  const table = kind === 'load' ? 0 : STORES;
  const at = localHole(hole.work, 'i64');
  const offset = and32(wrap(get(at)), PAGE - 1);
  return assembleTemplate([
    set(leaving, i32Hole(hole.leave)),
    set(at, add64(get(localHole(hole.base, 'i64')), i64Hole(hole.low))),
    brIf(op('i32.gt_u', offset, i32Hole(hole.room)), slow),
    set(entry, entryOf(data, get(at))),
    brIf(
      op('i64.ne', load('i64.load', get(entry), table), and64(get(at), -PAGE | (width - 1))),
      slow,
    ),
    set(localHole(hole.delta, 'i32'), load('i32.load', get(entry), table + 8)),
  ]);
}
