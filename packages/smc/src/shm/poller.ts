import type { Link } from './link.ts';

/**
 * Looks for news of this thread's links, once per turn of the event loop, as long as that is worth
 * it; a link that stays silent goes to sleep and is woken by its doorbell. See
 * docs/decisions/0153-when-to-poll.md.
 */
class Poller {
  private readonly awake = new Set<Link>();
  private turn: NodeJS.Immediate | undefined;

  wake(link: Link): void {
    this.awake.add(link);
    this.turn ??= setImmediate(this.look);
  }

  forget(link: Link): void {
    this.awake.delete(link);
  }

  private readonly look = (): void => {
    // Ordered first, so that a listener which throws does not end it.
    this.turn = setImmediate(this.look);
    for (const link of this.awake) {
      if (!link.turn()) this.awake.delete(link);
    }
    if (this.awake.size > 0) return;
    clearImmediate(this.turn);
    this.turn = undefined;
  };
}

export const poller = new Poller();
