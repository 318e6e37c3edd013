import {
  block,
  br,
  brIf,
  type Code,
  get,
  i32,
  type Label,
  type Local,
  label,
  loop,
  op,
  set,
} from '@anole/bytes/wasm';

/**
 * Arranges blocks in the structured control flow of WebAssembly. Blocks keep their order. A branch
 * forward leaves a block of WebAssembly that ends before its target; a branch back goes to a loop
 * around the span from its target to the last branch to it. A branch from outside into the middle
 * of a loop goes to the loop's start, with the number of its target in a local that is looked at
 * there.
 */
export class Structure {
  readonly #root: Span;
  readonly #paths: (readonly Step[])[] = [];
  readonly #dispatch: Local;

  /**
   * @param successors for each block the blocks it may go to
   * @param dispatch an i32 local
   */
  constructor(
    successors: readonly (readonly number[])[],
    entries: readonly number[],
    dispatch: Local,
  ) {
    this.#dispatch = dispatch;
    this.#root = newSpan(0, successors.length - 1);
    this.#fill(this.#root, findLoops(successors), []);
    for (const entry of entries) this.#noteSides([this.#root], entry);
    for (const [from, targets] of successors.entries()) {
      for (const to of targets) this.#noteSides(this.#spansOf(from), to);
    }
  }

  /** Goes from block `from` to block `to`, which is one of its successors. */
  edge(from: number, to: number): Code {
    return this.#edge(this.#spansOf(from), to);
  }

  /** From the start to block `to`, one of the entries. */
  enter(to: number): Code {
    return this.#edge([this.#root], to);
  }

  /**
   * All blocks, each written by `body`, which must leave by {@link edge} or to the outside; `start`
   * must leave by {@link enter}.
   */
  code(start: Code, body: (block: number) => Code): Code {
    return this.#emit(this.#root, start, body);
  }

  /** Divides a span into single blocks and loops. */
  #fill(span: Span, loops: ReadonlyMap<number, number>, path: readonly Step[]): void {
    for (let at = span.first; at <= span.last; ) {
      const end = loops.get(at);
      const child: Child = { label: label(`block ${at}`), block: at, span: undefined };
      const here = [...path, { span, child }];
      if (end === undefined || (at === span.first && span.isLoop)) {
        this.#paths[at] = here;
        span.children.push(child);
        at++;
      } else {
        const inner = { ...newSpan(at, end), isLoop: true };
        span.children.push(Object.assign(child, { span: inner }));
        this.#fill(inner, loops, here);
        at = end + 1;
      }
    }
  }

  #spansOf(at: number): readonly Span[] {
    return this.#paths[at]!.map(({ span }) => span);
  }

  /** The steps from the innermost span that both are in to block `to`; none for a branch back. */
  #way(spans: readonly Span[], to: number): readonly Step[] | Span {
    const back = spans.find((span) => span.isLoop && span.first === to);
    if (back !== undefined) return back;
    const path = this.#paths[to]!;
    let common = 0;
    while (common + 1 < path.length && spans.includes(path[common + 1]!.span)) common++;
    return path.slice(common);
  }

  #noteSides(spans: readonly Span[], to: number): void {
    const way = this.#way(spans, to);
    if ('first' in way) return;
    for (const { span } of way.slice(1)) if (span.first !== to) span.sides.add(to);
  }

  #edge(spans: readonly Span[], to: number): Code {
    const way = this.#way(spans, to);
    if ('first' in way) return [this.#choose(way, to), br(way.label)];
    const { child } = way[0]!;
    return [child.span === undefined ? [] : this.#choose(child.span, to), br(child.label)];
  }

  /** Tells the start of a loop where to go. */
  #choose(span: Span, to: number): Code {
    if (span.sides.size === 0) return [];
    return set(this.#dispatch, i32(span.first === to ? 0 : to + 1));
  }

  #emit(span: Span, start: Code, body: (block: number) => Code): Code {
    let code = start;
    for (const child of span.children) {
      const inner =
        child.span === undefined
          ? body(child.block)
          : loop(child.span.label, this.#emit(child.span, this.#dispatcher(child.span), body));
      code = [block(child.label, code), inner];
    }
    return code;
  }

  #dispatcher(span: Span): Code {
    return [...span.sides].map((to) => {
      const { child } = this.#paths[to]!.find((step) => step.span === span)!;
      return brIf(op('i32.eq', get(this.#dispatch), i32(to + 1)), child.label);
    });
  }
}

interface Child {
  readonly label: Label;
  readonly block: number;
  readonly span: Span | undefined;
}

interface Span {
  readonly first: number;
  readonly last: number;
  readonly isLoop: boolean;
  readonly label: Label;
  readonly children: Child[];
  /** Blocks within, not the first, to which something outside branches. */
  readonly sides: Set<number>;
}

interface Step {
  readonly span: Span;
  readonly child: Child;
}

function newSpan(first: number, last: number): Span {
  return { first, last, isLoop: false, label: label('loop'), children: [], sides: new Set() };
}

/** First block of each loop to its last; of two loops one contains the other or they are apart. */
function findLoops(successors: readonly (readonly number[])[]): ReadonlyMap<number, number> {
  const loops = new Map<number, number>();
  for (const [from, targets] of successors.entries()) {
    for (const to of targets) {
      if (to <= from) loops.set(to, Math.max(from, loops.get(to) ?? 0));
    }
  }
  const firsts = [...loops.keys()].sort((a, b) => b - a);
  // From the last one on: what a loop takes in is final when those before it look at it.
  for (const first of firsts) {
    for (let changed = true; changed; ) {
      changed = false;
      for (const [inner, end] of loops) {
        const last = loops.get(first)!;
        if (inner > first && inner <= last && end > last) {
          loops.set(first, end);
          changed = true;
        }
      }
    }
  }
  return loops;
}
