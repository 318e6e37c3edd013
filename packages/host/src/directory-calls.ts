import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { encodeName } from '@anole/bytes';
import { closeNative, openIn, statInto } from './native/file-calls.ts';
import { hasNative } from './native/koffi.ts';
import type { StatRows } from './stat-rows.ts';

/** Flags to open a directory, and a file: never through a link, and without waiting for a fifo. */
export const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
export const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * System calls by the name of a file in an open directory. Node knows only paths: through
 * `/proc/self/fd`, and with numbers of 64 bits, which takes twice as long. Large trees are worth loading
 * native calls for.
 */
export class DirectoryCalls {
  #untilNative: number;
  /** Descriptors that Node knows: in threads it keeps account of its own. */
  readonly #known = new Set<number>();

  /** @param patience calls after which native ones are used, where they can be had */
  constructor(patience: number) {
    this.#untilNative = patience;
  }

  /** Fills a row by what the name stands for, links not followed. False where it is not there. */
  stat(rows: StatRows, row: number, directory: number, name: string): boolean {
    if (this.#useNative(name)) return statInto(rows, row, directory, name);
    const options = { bigint: true, throwIfNoEntry: false } as const;
    const raw = lstatSync(pathIn(directory, name), options);
    if (raw) rows.set(row, raw);
    return raw !== undefined;
  }

  /** Fills the first row by what a descriptor stands for. */
  statOpen(rows: StatRows, fd: number): void {
    if (this.#useNative('')) statInto(rows, 0, fd, '');
    else rows.set(0, fstatSync(fd, { bigint: true }));
  }

  /** @param mode of a file that is made by that */
  open(directory: number, name: string, flags: number, mode = 0): number {
    if (this.#useNative(name)) return openIn(directory, name, flags, mode);
    return this.openPath(pathIn(directory, name), flags, mode);
  }

  /** The same by a path, by Node. */
  openPath(path: string | Buffer, flags: number, mode = 0): number {
    const fd = openSync(path, flags, mode);
    this.#known.add(fd);
    return fd;
  }

  /** Closes what these gave. */
  close(fd: number): void {
    // There are very few once native calls are used.
    if (this.#known.size > 0 && this.#known.delete(fd)) closeSync(fd);
    else closeNative(fd);
  }

  #useNative(name: string): boolean {
    if (this.#untilNative > 0 && --this.#untilNative === 0 && !hasNative()) {
      this.#untilNative = Number.POSITIVE_INFINITY;
    }
    return this.#untilNative === 0 && name.isWellFormed();
  }
}

/** A path of which only the last component is resolved on the way. */
export function pathIn(directory: number, name: string): string | Buffer {
  const path = `/proc/self/fd/${directory}/${name}`;
  return path.isWellFormed() ? path : Buffer.from(encodeName(path));
}
