import type { Block, Region } from './region.ts';
import { pagesOf } from './region.ts';
import {
  decode,
  flowOf,
  isForeign,
  isReturn,
  links,
  type ReadHalf,
  type Step,
  targetOf,
} from './step.ts';

/** Calls within calls that are followed. */
const DEPTH = 3;
/** Instructions of a function that is taken into its caller. */
const SHORT = 48;
/** Entries of a region. */
const ENTRIES = 6;

/** One visit of a function: a function that is called from two places is there twice. */
interface Context {
  readonly id: number;
  readonly depth: number;
  readonly start: number;
  /** Where it returns to. */
  readonly caller: Context | undefined;
  readonly site: number;
  readonly steps: Map<number, Step>;
  readonly leaders: Set<number>;
  /** What the calls in it go to, by their offsets. */
  readonly calls: Map<number, Context>;
}

/**
 * Finds the blocks of a region: follows the code from its entries (even offsets in the first page),
 * as far as it is known, and not known to be entered as another region.
 */
export class Explorer {
  readonly #read: ReadHalf;
  readonly #known: (offset: number) => boolean;
  readonly #limit: number;
  readonly #short = new Map<number, boolean>();
  readonly #todo: { readonly context: Context; readonly offset: number }[] = [];
  readonly #root: Context;
  #entries: number[] = [];
  #contexts = 0;
  #steps = 0;

  constructor(read: ReadHalf, known: (offset: number) => boolean, limit: number) {
    this.#read = read;
    this.#known = known;
    this.#limit = limit;
    this.#root = this.#context(0, undefined, 0);
  }

  /** Adds entries. Those whose first instruction is one for the interpreter are left out. */
  explore(entries: readonly number[]): void {
    for (const offset of entries) this.#addEntry(offset);
    for (let at = this.#todo.shift(); at !== undefined; at = this.#todo.shift()) {
      this.#follow(at.context, at.offset);
    }
  }

  /** Whether code at an offset is in the region, outside of calls. */
  covers(offset: number): boolean {
    return this.#root.steps.has(offset);
  }

  region(): Region {
    const order: { readonly context: Context; readonly block: Omit<Block, Ways> }[] = [];
    this.#arrange(this.#root, order);
    const indexes = new Map(
      order.map(({ context, block }, at) => [key(context, block.offset), at]),
    );
    const blocks = order.map(({ context, block }) => this.#connect(context, block, indexes));
    const entries = this.#entries.flatMap((offset) => indexes.get(key(this.#root, offset)) ?? []);
    const pages = [...new Set(blocks.flatMap(pagesOf))];
    // What spreads over two pages needs the second one to be known, which an entry cannot ask for.
    const inOne = entries.filter((at) => pagesOf(blocks[at]!).length === 1);
    return { entries: inOne, blocks, pages, isLoose: false };
  }

  #context(start: number, caller: Context | undefined, site: number): Context {
    const id = this.#contexts++;
    const depth = caller === undefined ? 0 : caller.depth + 1;
    const maps = { steps: new Map(), leaders: new Set<number>(), calls: new Map() };
    return { id, depth, start, caller, site, ...maps };
  }

  #addEntry(offset: number): void {
    if (this.#entries.includes(offset)) return;
    this.#entries.push(offset);
    this.#enter(this.#root, offset);
  }

  #enter(context: Context, offset: number): void {
    context.leaders.add(offset);
    this.#todo.push({ context, offset });
  }

  /** Nearest code first: what follows, then targets. */
  #follow(context: Context, from: number): void {
    let before: Step | undefined;
    for (let offset = from; this.#steps < this.#limit && !context.steps.has(offset); ) {
      if (context === this.#root && this.#known(offset)) return;
      const step = decode(this.#read, offset);
      if (step === undefined || isForeign(step)) return;
      // Its own block: what comes before it is in one page, and so is what follows.
      if ((offset & 0xfff) === 0 || (offset & 0xfff) + step.size > 0x1000) {
        context.leaders.add(offset);
      }
      if ((offset & 0xfff) + step.size > 0x1000) context.leaders.add(offset + step.size);
      context.steps.set(offset, step);
      this.#steps++;
      offset += step.size;
      if (flowOf(step.instruction) !== 'next') {
        this.#jump(context, step, before);
        return;
      }
      before = step;
    }
  }

  #jump(context: Context, step: Step, before: Step | undefined): void {
    const next = step.offset + step.size;
    const flow = flowOf(step.instruction);
    const target = targetOf(step, before);
    if (flow === 'branch') {
      this.#enter(context, target!);
      this.#enter(context, next);
    } else if (!links(step)) {
      if (target !== undefined) this.#enter(context, target);
    } else if (target !== undefined && this.#takesIn(context, target)) {
      const callee = this.#context(target, context, next);
      context.calls.set(step.offset, callee);
      this.#enter(callee, target);
      this.#enter(context, next);
    } else if (context === this.#root && next >> 12 === 0 && this.#entries.length < ENTRIES) {
      // What returns from there finds its way in.
      this.#addEntry(next);
    }
  }

  #takesIn(context: Context, target: number): boolean {
    if (context.depth >= DEPTH || this.#steps > this.#limit / 2) return false;
    for (let at: Context | undefined = context; at !== undefined; at = at.caller) {
      if (at.start === target && at !== this.#root) return false;
      if (at === this.#root && this.#entries.includes(target)) return false;
    }
    let short = this.#short.get(target);
    if (short === undefined) {
      short = isShort(this.#read, target);
      this.#short.set(target, short);
    }
    return short;
  }

  /** A function's blocks by their offsets, each call followed by what it calls. */
  #arrange(
    context: Context,
    order: { readonly context: Context; readonly block: Omit<Block, Ways> }[],
  ): void {
    const { leaders, steps, calls } = context;
    for (const offset of [...leaders].sort((a, b) => a - b)) {
      if (!steps.has(offset)) continue;
      const block = lineAt(offset, steps, leaders);
      order.push({ context, block });
      const callee = calls.get(block.steps.at(-1)!.offset);
      if (callee !== undefined) this.#arrange(callee, order);
    }
  }

  #connect(
    context: Context,
    block: Omit<Block, Ways>,
    indexes: ReadonlyMap<string, number>,
  ): Block {
    const last = block.steps.at(-1)!;
    const flow = flowOf(last.instruction);
    const at = (where: Context, offset: number): number | undefined =>
      indexes.get(key(where, offset));
    const callee = context.calls.get(last.offset);
    const inside =
      callee ?? (flow !== 'next' && flow !== 'branch' && links(last) ? undefined : context);
    const { target } = block;
    return {
      ...block,
      follow: flow === 'next' || flow === 'branch' ? at(context, block.next) : undefined,
      taken: target === undefined || inside === undefined ? undefined : at(inside, target),
      back:
        context.caller !== undefined && flow === 'indirect' && isReturn(last)
          ? at(context.caller, context.site)
          : undefined,
    };
  }
}

type Ways = 'follow' | 'taken' | 'back';

const key = ({ id }: Context, offset: number): string => `${id}:${offset}`;

function lineAt(
  offset: number,
  steps: ReadonlyMap<number, Step>,
  leaders: ReadonlySet<number>,
): Omit<Block, Ways> {
  const line: Step[] = [];
  let next = offset;
  for (;;) {
    const step = steps.get(next);
    if (step === undefined) return { offset, steps: line, next, target: undefined };
    line.push(step);
    next += step.size;
    const flow = flowOf(step.instruction);
    if (flow === 'next' && !leaders.has(next)) continue;
    const target = flow === 'next' ? undefined : targetOf(step, line.at(-2));
    return { offset, steps: line, next, target };
  }
}

/** Whether a function has few instructions, all of them to be compiled, and returns. */
function isShort(read: ReadHalf, start: number): boolean {
  const seen = new Set<number>();
  const todo = [start];
  let returns = false;
  for (let offset = todo.pop(); offset !== undefined; offset = todo.pop()) {
    let before: Step | undefined;
    while (!seen.has(offset)) {
      const step = decode(read, offset);
      if (step === undefined || seen.size >= SHORT) return false;
      seen.add(offset);
      offset += step.size;
      const flow = flowOf(step.instruction);
      if (isForeign(step)) return false;
      const isJump = flow === 'jump' || flow === 'indirect';
      if (flow === 'branch' || (isJump && !links(step))) {
        const target = targetOf(step, before);
        if (target === undefined && !isReturn(step)) return false;
        returns ||= target === undefined;
        if (target !== undefined) todo.push(target);
        if (isJump) break;
      }
      before = step;
    }
  }
  return returns;
}
