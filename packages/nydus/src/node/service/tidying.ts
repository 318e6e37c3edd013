import { giveBackMemory } from '@anole/host/native';

/** How long nothing was opened before memory is given back, in milliseconds. */
const PAUSE = 2000;

/**
 * Gives memory back that opening images took: it makes objects for all that an image has, of which next to none are
 * kept, and V8 and the C library keep their room. Not at once, since who waits for an image reads it then.
 */
export class Tidying implements Disposable {
  #timer: NodeJS.Timeout | undefined;

  /** Notes that something was opened, or closed. */
  note(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(giveBackMemory, PAUSE).unref();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
