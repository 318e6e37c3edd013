import type { Step } from './step.ts';

/**
 * A straight line of one instruction or more. Its last one may jump; else it goes on at `next`.
 * Ways that stay in the region are indexes of blocks.
 */
export interface Block {
  readonly offset: number;
  readonly steps: readonly Step[];
  /** Offset behind the last instruction. */
  readonly next: number;
  /** Where its jump or branch goes, as far as the code says. */
  readonly target: number | undefined;
  /** The block at `next`, where the last instruction goes on there. */
  readonly follow: number | undefined;
  /** The block at `target`. */
  readonly taken: number | undefined;
  /** For a return: where it is expected to go, because the call to it is in the region, too. */
  readonly back: number | undefined;
}

/** Code that is compiled together. */
export interface Region {
  /** Blocks at which it is entered: all in the first page. May be none. */
  readonly entries: readonly number[];
  readonly blocks: readonly Block[];
  /** Pages that have parts of it, counted from the first one: 0, and what can be reached. */
  readonly pages: readonly number[];
  /** Whether each access is to ask the TLB for itself: what it is off is often near the end of a page. */
  readonly isLoose: boolean;
}

/** The pages that a block has parts of. */
export function pagesOf({ offset, next }: Block): readonly number[] {
  const [first, last] = [offset >> 12, (next - 1) >> 12];
  return first === last ? [first] : [first, last];
}
