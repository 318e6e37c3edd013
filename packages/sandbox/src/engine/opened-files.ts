import { statSync } from 'node:fs';

interface Opened<T> {
  /** Tells the file, as it was, from all others. */
  readonly file: string;
  readonly value: T;
  users: number;
}

/**
 * Files that machines of this thread use, or used a moment ago: opening one takes longer than all the
 * rest of a restore.
 */
export class OpenedFiles<T extends Disposable> {
  readonly #open: (path: string) => T;
  readonly #maxUnused: number;
  /** The newest last. */
  #opened: Opened<T>[] = [];

  /** @param maxUnused how many are kept that no machine uses */
  constructor(open: (path: string) => T, maxUnused: number) {
    this.#open = open;
    this.#maxUnused = maxUnused;
  }

  /**
   * Opens a file, where it is not open. Whoever took it gives it back with `leave`.
   *
   * @throws what opening it throws
   */
  take(path: string): { readonly value: T; readonly leave: () => void } {
    const file = fileAt(path);
    let found = this.#opened.find((each) => each.file === file);
    if (found === undefined) {
      found = { file, value: this.#open(path), users: 0 };
      this.#opened.push(found);
    }
    found.users++;
    const used = found;
    const leave = () => {
      used.users--;
      this.closeUnused(this.#maxUnused);
    };
    return { value: used.value, leave };
  }

  closeUnused(keep = 0): void {
    const unused = this.#opened.filter(({ users }) => users === 0);
    const closed = unused.slice(0, Math.max(0, unused.length - keep));
    this.#opened = this.#opened.filter((each) => !closed.includes(each));
    for (const { value } of closed) value[Symbol.dispose]();
  }
}

/** Of a path at which nothing can be seen something that no other has: who opens it says why. */
function fileAt(path: string): string {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path);
    return `${dev}:${ino}:${size}:${mtimeMs}`;
  } catch {
    return path;
  }
}
