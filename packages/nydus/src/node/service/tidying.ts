import { giveBackMemory } from '@anole/host/native';

/** How often is looked, in milliseconds. */
const PAUSE = 4000;
/** Bytes by which the process has grown before it is worth the time. */
const GROWN = 12 * 1024 * 1024;
/** Part of the time that a process which rests may have worked. */
const RESTING = 0.1;

/**
 * Gives memory back when this process rests and has grown: opening an image makes objects for all that it has, reading
 * it makes memory for what is decoded, and V8 and the C library keep the room. Not while somebody waits.
 */
export class Tidying implements Disposable {
  readonly #timer: NodeJS.Timeout;
  readonly #before: () => void;
  #worked = process.cpuUsage();
  /** What the process had when it had least, since it last gave back. */
  #least = process.memoryUsage.rss();

  /** @param before lets go of what can be made again from what is here */
  constructor(before: () => void) {
    this.#before = before;
    this.#timer = setInterval(() => this.#look(), PAUSE).unref();
  }

  #look(): void {
    const { user, system } = process.cpuUsage(this.#worked);
    this.#worked = process.cpuUsage();
    const size = process.memoryUsage.rss();
    this.#least = Math.min(this.#least, size);
    const isResting = user + system < RESTING * PAUSE * 1000;
    if (!isResting || size - this.#least < GROWN) return;
    this.#before();
    giveBackMemory();
    this.#least = process.memoryUsage.rss();
    this.#worked = process.cpuUsage();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
