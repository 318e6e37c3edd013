/** Microseconds between news above which waiting by polling costs more than it saves. */
const POLL_WORTH = 200;
/** The same above which it is not even attempted: where waking takes long, news come seldom for that alone. */
const ATTEMPT_WORTH = 500;
/** Microseconds to poll. An answer from a process that runs comes within a few, or a few tens where it does
 * more than answer; one that waits for a processor gets it sooner if this one sleeps. */
const POLL = 50;
/** Microseconds to wait for a peer that empties a full ring to be seen doing so. */
const PROGRESS = 60;
const PERIOD_MOST = 1000;
/** Polling that finds nothing more often than this is left; after so many waits it is tried again. */
const LUCK_LEAST = 0.3;
const PROBE = 1024;
/** Waits of an attempt to poll again, and microseconds of each: the peer has to be woken first. */
const ATTEMPT = 8;
const ATTEMPT_POLL = 200;

/**
 * Says when a link should poll, by what it has met: see docs/decisions/0153-when-to-poll.md and 0154.
 * Times are those of `performance.now()`.
 */
export class Pace {
  private lastNews = 0;
  private awakeSince = 0;
  /** Microseconds between news, smoothed. */
  private period = 50;
  /** How often news came while polling, of all times, smoothed. */
  private luck = 0;
  private waits = 0;
  /** Waits left of an attempt to poll. A link begins with one: its peer sleeps. */
  private attempt = ATTEMPT;
  /** The wait is one of an attempt, of this end or of the peer. */
  private isAttempt = false;
  /** Attempts of the peer that are joined until the next one of this end. */
  private joins = ATTEMPT;
  private isInvited = false;

  /** The peer was found polling. */
  invite(): void {
    this.isInvited = true;
  }

  /**
   * Whether to poll in the wait that begins. Only where both ends poll does either find something: one
   * attempts it, and the other joins in. Both are limited, since they share a processor, or others want
   * it, as long as neither succeeds.
   */
  isPollingWorth(): boolean {
    const { isInvited } = this;
    this.isInvited = this.isAttempt = false;
    if (this.period > ATTEMPT_WORTH) return false;
    if (this.isLucky && this.attempt === 0) return true;
    if (++this.waits % PROBE === 0) this.attempt = this.joins = ATTEMPT;
    if (isInvited && this.joins > 0) this.joins--;
    else if (this.attempt > 0) this.attempt--;
    else return false;
    this.isAttempt = true;
    return true;
  }

  private get isLucky(): boolean {
    return this.period <= POLL_WORTH && this.luck > LUCK_LEAST;
  }

  /** There is a reason to look out for news from now on. */
  restart(now: number): void {
    this.awakeSince = now;
  }

  /** When the wait began that goes on. */
  get since(): number {
    return Math.max(this.lastNews, this.awakeSince);
  }

  /** News have come. @returns microseconds since those before, to be told with {@link learn} */
  meetNews(now: number): number {
    const gap = Math.min((now - this.lastNews) * 1000, PERIOD_MOST);
    this.lastNews = now;
    return gap;
  }

  /** @param moved whether bytes did: where connections only come and go, polling would just take the
   * processor from the other end */
  learn(gap: number, moved: boolean): void {
    if (moved) this.period += (gap - this.period) / 4;
    else this.period += (PERIOD_MOST - this.period) / 16;
  }

  /** Polling has found news. @param since when the wait had begun */
  foundNews(since: number): void {
    // What comes later came while another had the processor, maybe the peer.
    if ((this.lastNews - since) * 1000 > POLL) this.missNews();
    else this.luck += (1 - this.luck) / 8;
    if (this.isAttempt && this.isLucky) {
      this.isAttempt = false;
      this.attempt = 0;
    }
  }

  /** Polling has ended without. */
  missNews(): void {
    this.luck -= this.luck / 8;
    // So that one stroke of luck is not enough to begin anew.
    if (this.luck < LUCK_LEAST) this.luck = 0;
  }

  /** Whether to go on polling. @param isWatching for a peer that is seen reading */
  isPatient(now: number, isWatching: boolean): boolean {
    const idle = (now - this.since) * 1000;
    if (isWatching && idle < PROGRESS) return true;
    if (this.isAttempt) return idle < ATTEMPT_POLL;
    return this.period < POLL_WORTH && idle < POLL;
  }
}
