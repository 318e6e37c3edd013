import type { RemoteFence } from '../platform/sbi-harts.ts';
import type { HartLink } from './hart-link.ts';
import * as at from './layout.ts';

/** A fence that one hart asked of another. */
export class AskedFence {
  readonly #link: HartLink;
  readonly #waiter: number;
  /** For a fence of pages: what takes its place. */
  readonly #or: at.Fence | undefined;
  #kind: at.Fence;
  #ticket: number;

  /** Asks for it. @param waiter the hart that asks */
  constructor(link: HartLink, fence: RemoteFence, waiter: number) {
    this.#link = link;
    this.#waiter = waiter;
    this.#kind = at.Fence[fence.kind];
    this.#or = fence.kind === 'pages' ? at.Fence[fence.or] : undefined;
    this.#ticket = link.wantFence(this.#kind, waiter);
  }

  /** Whether nothing is executed any more without it. */
  isDone(): boolean {
    const link = this.#link;
    if (link.hasFenced(this.#kind, this.#ticket)) return true;
    if (!link.isAsleep) return false;
    // One that sleeps does its fences before it goes on, when nobody tells the pages any more.
    if (this.#kind === at.Fence.pages) {
      this.#kind = this.#or!;
      this.#ticket = link.wantFence(this.#kind, this.#waiter);
    }
    return link.isAsleep;
  }
}
