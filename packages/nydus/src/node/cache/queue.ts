import type { Pace } from './pace.ts';

/** Who waits for a fetch: a reader, a reader of what was foreseen, or nobody yet. */
export type Urgency = 'demand' | 'foreseen' | 'ahead';

/** Fetches that readers wait for, of all blobs that share a link. */
export class WaitingReaders {
  #count = 0;
  #resting: (() => void)[] = [];

  get count(): number {
    return this.#count;
  }

  enter(): void {
    this.#count++;
  }

  leave(): void {
    this.#count--;
    const resting = this.#resting;
    this.#resting = [];
    for (const go of resting) go();
  }

  /** Returns once one leaves. */
  async change(): Promise<void> {
    await new Promise<void>((go) => this.#resting.push(go));
  }
}

/**
 * Turns for the fetches of a blob. Who fetches ahead of readers asks for {@link FetchQueue.room} before: there is
 * none while a reader of any blob is on its way to something that nobody has asked for ahead, so that the link is its
 * own. What was foreseen of this blob is part of what is fetched ahead here, and stops others only.
 */
export class FetchQueue {
  readonly #most: number;
  readonly #readers: WaitingReaders;
  readonly #pace: Pace | undefined;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #foreseen = 0;

  /**
   * @param most fetches at once
   * @param readers of all blobs on the link
   * @param pace of the link, where it has a bound
   */
  constructor(most: number, readers: WaitingReaders, pace?: Pace) {
    this.#most = most;
    this.#readers = readers;
    this.#pace = pace;
  }

  async run<T>(urgency: Urgency, work: () => Promise<T>): Promise<T> {
    if (urgency === 'ahead') return await this.#inTurn(work);
    const own = urgency === 'foreseen' ? 1 : 0;
    this.#foreseen += own;
    this.#readers.enter();
    try {
      return await this.#inTurn(work);
    } finally {
      this.#foreseen -= own;
      this.#readers.leave();
    }
  }

  /**
   * Returns once no reader waits for anything but what was foreseen of this blob, and the link is free. It is to be told
   * when what was begun has ended.
   *
   * @throws where a signal comes while the link is not free
   */
  async room(signal: AbortSignal): Promise<Disposable | undefined> {
    for (;;) {
      while (this.#readers.count > this.#foreseen) await this.#readers.change();
      const begun = await this.#pace?.room(signal);
      if (this.#readers.count <= this.#foreseen) return begun;
      begun?.[Symbol.dispose]();
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running === this.#most) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#running++;
    try {
      return await work();
    } finally {
      // Who waits longest takes over the turn.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
