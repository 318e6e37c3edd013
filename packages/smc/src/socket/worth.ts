/** Bytes, or else writes, from which a connection has been worth more than making it has cost. */
const WORTH_BYTES = 65536;
const WORTH_WRITES = 8;
/** Share of connections that must be worth it, of about the last thirty. */
const LEAST = 0.5;
const PACE_DOWN = 1 / 32;
const PACE_UP = 1 / 4;
/** Where they are not, one in so many tries again. */
const PROBE = 32;

interface History {
  score: number;
  skipped: number;
}

/** What a connection has carried. */
export interface Carried {
  readonly read: number;
  readonly written: number;
  readonly writes: number;
}

/**
 * Making a connection over shared memory costs more than TCP alone, which is made, too. Whether it was
 * worth that shows only when it is over, so connections to a port are judged by those before them: where
 * these were short, they stay on TCP, but for one now and then.
 */
class Worth {
  /** By port of the server. */
  private readonly ports = new Map<number, History>();

  isLikely(port: number): boolean {
    const history = this.ports.get(port);
    if (history === undefined || history.score >= LEAST) return true;
    history.skipped = (history.skipped + 1) % PROBE;
    return history.skipped === 0;
  }

  learn(port: number, { read, written, writes }: Carried): void {
    const history = this.ports.get(port) ?? { score: 1, skipped: 0 };
    this.ports.set(port, history);
    const wasWorth = read + written >= WORTH_BYTES || writes >= WORTH_WRITES;
    if (wasWorth) history.score += (1 - history.score) * PACE_UP;
    else history.score -= history.score * PACE_DOWN;
  }
}

export const worth = new Worth();
