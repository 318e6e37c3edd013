import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { hostError } from '@anole/host';
import type { Chunks } from './chunks.ts';

/** What is known of a chunk: more by each. */
export const chunkStates = {
  absent: 0,
  /** In the file, says the map, but this process has not looked whether it is what it must be. */
  unproven: 1,
  /** In the file, and verified by this process. */
  proven: 2,
} as const;

/**
 * Which chunks are in a blob's file: one byte for each in a file of its own, so that several
 * processes can note theirs at once. It is a hint: after a crash it may say more than is true, and a
 * file may rot. So each process proves each chunk once, before the first use.
 */
export class Presence {
  readonly states: Uint8Array;
  /** All before it are proven. */
  #proven = 0;
  readonly #fd: number;

  private constructor(fd: number, states: Uint8Array) {
    this.#fd = fd;
    this.states = states;
  }

  /** Opens the map, made anew where it is not one of `count` chunks. @throws HostError */
  static open(path: string, count: number): Presence {
    let fd: number | undefined;
    try {
      fd = openSync(path, 'a+');
      closeSync(fd);
      fd = openSync(path, 'r+');
      if (fstatSync(fd).size !== count) {
        ftruncateSync(fd, 0);
        ftruncateSync(fd, count);
      }
      const states = new Uint8Array(count);
      readSync(fd, states, 0, count, 0);
      return new Presence(
        fd,
        states.map((noted) => (noted === 0 ? 0 : chunkStates.unproven)),
      );
    } catch (error) {
      if (fd !== undefined) closeQuietly(fd);
      throw hostError(error, `open ${path}`);
    }
  }

  /** Looks whether another process has put a chunk in the meantime. */
  refresh(index: number): void {
    if (this.states[index] !== chunkStates.absent) return;
    const noted = new Uint8Array(1);
    if (readSync(this.#fd, noted, 0, 1, index) === 1 && noted[0] !== 0) {
      this.states[index] = chunkStates.unproven;
    }
  }

  /** Notes chunks [first, end), whose bytes are in the file. @throws HostError */
  put(first: number, end: number): void {
    try {
      writeSync(this.#fd, new Uint8Array(end - first).fill(1), 0, end - first, first);
      this.states.fill(chunkStates.proven, first, end);
    } catch (error) {
      throw hostError(error, 'note what is in the cache');
    }
  }

  /** What was proven of a chunk holds no more. */
  doubt(index: number): void {
    this.states[index] = chunkStates.unproven;
    this.#proven = Math.min(this.#proven, index);
  }

  /** Notes that a chunk is not there. Where the map does not take that, who reads it finds out once more. */
  drop(index: number): void {
    this.states[index] = chunkStates.absent;
    this.#proven = Math.min(this.#proven, index);
    try {
      writeSync(this.#fd, new Uint8Array(1), 0, 1, index);
    } catch {
      // It is a hint.
    }
  }

  /** Notes that nothing is there. @throws HostError */
  clear(): void {
    this.states.fill(chunkStates.absent);
    this.#proven = 0;
    try {
      writeSync(this.#fd, new Uint8Array(this.states.length), 0, this.states.length, 0);
    } catch (error) {
      throw hostError(error, 'note what is in the cache');
    }
  }

  /** Whether all chunks are proven. */
  get isProven(): boolean {
    const { length } = this.states;
    this.#proven = this.firstBelow(this.#proven, length, chunkStates.proven);
    return this.#proven === length;
  }

  /** Bytes of the chunks that are in the file. */
  bytesOf(chunks: Chunks): number {
    let bytes = 0;
    for (const [index, state] of this.states.entries()) {
      if (state === chunkStates.absent) continue;
      bytes += chunks.offsetOf(index + 1) - chunks.offsetOf(index);
    }
    return bytes;
  }

  /** The first chunk from `first` on that is not even in a state; `end` where all before it are. */
  firstBelow(first: number, end: number, state: number): number {
    for (let index = first; index < end; index++) if (this.states[index]! < state) return index;
    return end;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // It was closed already.
  }
}
