import {
  closeSync,
  fstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { systemCode } from '../errors.ts';
import { check, native } from './koffi.ts';

const dup2 = native('int dup2(int from, int to)');
const flock = native('int flock(int fd, int operation)');

/** sys/file.h */
const LOCK_EX = 2;
const LOCK_NB = 4;
const OUTPUT = 1;
const ERROR = 2;
const PRIVATE = 0o600;
/** Bytes of a log; the one before it is as large. */
const MOST = 4 * 1024 * 1024;

/**
 * Standard output and error of this process as a file that stays small. What would make it larger begins it anew, and the
 * one before is beside it (`PATH.1`). Several processes write to one, each line whole: whoever finds it too large begins
 * anew, the others follow at their next line. So does what the system itself prints of a process that dies.
 */
export class LogFile {
  /** Without links, which stay what they are; as it was given where it is none of a file. */
  readonly path: string;
  readonly #most: number;

  private constructor(path: string, most: number) {
    this.path = path;
    this.#most = most;
  }

  /** @throws HostError, and the disk, where the file cannot be written */
  static take(path: string, most: number = MOST): LogFile {
    new LogFile(path, most).#follow();
    return new LogFile(withoutLinks(path), most);
  }

  /** Writes a line. What the disk does not take is lost. */
  write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    try {
      for (let isLost = true; isLost; ) {
        const isKnown = this.#makeRoom(bytes.length);
        writeSync(ERROR, bytes);
        // Others may have begun anew twice since it was looked.
        isLost = isKnown && fstatSync(ERROR).nlink === 0;
      }
    } catch {
      // There is nobody to be told.
    }
  }

  /** False where that fails: it goes on where it is. */
  #makeRoom(length: number): boolean {
    try {
      if (!isSame(fstatSync(ERROR), statOf(this.path))) this.#follow();
      if (this.#isTooLarge(fstatSync(ERROR), length)) {
        this.#turnOver(length);
        this.#follow();
      }
      return true;
    } catch {
      // The disk is full, or the directory gone.
      return false;
    }
  }

  #isTooLarge({ size }: Stats, length: number): boolean {
    return size > 0 && size + length > this.#most;
  }

  /** Locked by the file itself: what is there when the lock is given may be another's new one. */
  #turnOver(length: number): void {
    const fd = openSync(this.path, 'a', PRIVATE);
    try {
      // Who has it is about to do the same.
      if (flock(fd, LOCK_EX | LOCK_NB) < 0) return;
      const found = fstatSync(fd);
      if (!isSame(found, statOf(this.path)) || !this.#isTooLarge(found, length)) return;
      // Programs before this one let it grow.
      if (found.size > 2 * this.#most) rmSync(this.path);
      else renameSync(this.path, `${this.path}.1`);
    } finally {
      closeSync(fd);
    }
  }

  /** Writes to what has the name now. */
  #follow(): void {
    const fd = openSync(this.path, 'a', PRIVATE);
    try {
      for (const each of [OUTPUT, ERROR]) check(dup2(fd, each), `write to ${this.path}`);
    } finally {
      closeSync(fd);
    }
  }
}

const isSame = (one: Stats, other: Stats | undefined) =>
  one.ino === other?.ino && one.dev === other.dev;

/** The path of a file by no link; as it is where it leads to none that has a name, as /dev/stderr does to a pipe. */
function withoutLinks(path: string): string {
  const real = realpathSync(path);
  return isSame(statSync(path), statOf(real)) ? real : path;
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
