import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hostError } from './errors.ts';
import { readAt } from './read-at.ts';
import { writeAt } from './write-at.ts';

/** A file without a name, gone when it is closed, or when this process ends. */
export interface ScratchFile extends Disposable {
  write(offset: number, bytes: Uint8Array): void;
  /** Fresh memory. What was never written reads as zeros, or is missing at the end. */
  read(offset: number, length: number): Uint8Array;
  /** As `read`, to where the bytes are wanted. Gives how many there were. */
  readInto(offset: number, target: Uint8Array): number;
}

/**
 * Makes a scratch file in `directory`, where there must be room for what is written to it.
 *
 * @throws HostError
 */
export function scratchFile(directory: string): ScratchFile {
  const fd = openNameless(directory);
  const attempt = <T>(action: string, call: () => T): T => {
    try {
      return call();
    } catch (error) {
      throw hostError(error, `${action} a scratch file in ${directory}`);
    }
  };
  const readInto = (offset: number, target: Uint8Array): number =>
    attempt('read', () => readAt(fd, offset, target));
  return {
    write(offset, bytes) {
      attempt('write', () => writeAt(fd, offset, bytes));
    },
    read(offset, length) {
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, readInto(offset, bytes));
    },
    readInto,
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function openNameless(directory: string): number {
  let inside: string | undefined;
  try {
    inside = mkdtempSync(join(directory, '.anole-scratch-'));
    return openSync(join(inside, 'file'), 'wx+', 0o600);
  } catch (error) {
    throw hostError(error, `make a scratch file in ${directory}`);
  } finally {
    if (inside !== undefined) rmSync(inside, { recursive: true, force: true });
  }
}
