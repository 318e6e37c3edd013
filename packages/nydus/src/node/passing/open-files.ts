import { closeSync } from 'node:fs';
import { type Mapping, mapFile, memoryFile } from '@anole/host/native';

/** Words of 32 bits in front of the slots. The first: how often files are open that have none. */
const HEAD = 4;
/** Of a slot: the low and high half of an ino, a backing's number (0: read here), how often it is open (0: free). */
const SLOT = 4;
const SLOTS = 4096;
const BYTES = 4 * (HEAD + SLOT * SLOTS);

/** How a file is open. */
export interface OpenFile {
  /** The backing's number; 0 where reads come to the service. */
  readonly id: number;
  readonly opens: number;
}

/**
 * Which large files of a mount are open, and how: the kernel wants each either passed or read here, by all who have
 * it. It is in a file in memory, of which a keeper has the descriptor, so that the next service knows it, whenever this
 * one is killed. Then a file may count as open too often, and stays as it is; never too seldom.
 */
export class OpenFiles implements Disposable {
  readonly fd: number;
  readonly #mapping: Mapping;
  readonly #words: Int32Array;
  readonly #slots = new Map<number, number>();
  readonly #free: number[] = [];

  private constructor(fd: number) {
    this.fd = fd;
    this.#mapping = mapFile(fd, BYTES, { writable: true });
    this.#words = new Int32Array(this.#mapping.view(0, BYTES));
    for (let at = HEAD + SLOT * (SLOTS - 1); at >= HEAD; at -= SLOT) {
      if (this.#words[at + 3]! > 0) this.#slots.set(this.#inoAt(at), at);
      else this.#free.push(at);
    }
  }

  /** @throws HostError `HOST_NO_NATIVE` */
  static make(): OpenFiles {
    return new OpenFiles(memoryFile('anole open files', BYTES));
  }

  /** Goes on with what another service has noted. The descriptor passes to the result. */
  static resume(fd: number): OpenFiles {
    return new OpenFiles(fd);
  }

  /** Whether files are open that are not noted: read here, all of them, and nobody knows which. */
  get hasOthers(): boolean {
    return this.#words[0] !== 0;
  }

  /** Whether the next file can be noted that is none yet. */
  get hasRoom(): boolean {
    return !this.hasOthers && this.#free.length > 0;
  }

  /** Whether the kernel reads some by itself. */
  get hasPassed(): boolean {
    return [...this.#slots.values()].some((at) => this.#words[at + 2] !== 0);
  }

  get(ino: number): OpenFile | undefined {
    const at = this.#slots.get(ino);
    return at === undefined ? undefined : { id: this.#words[at + 2]!, opens: this.#words[at + 3]! };
  }

  /**
   * Notes that a file is opened, before the kernel is told.
   *
   * @param id as all who have it open; 0 where there is no room
   */
  opened(ino: number, id: number): void {
    const known = this.#slots.get(ino);
    if (known !== undefined) this.#count(known, 1);
    else if (this.hasRoom) this.#begin(ino, id);
    else this.#countOthers(1);
  }

  /** Notes that a file is closed. @returns whether it was noted, and nobody has it open any more */
  closed(ino: number): boolean {
    const at = this.#slots.get(ino);
    if (at === undefined) {
      if (this.hasOthers) this.#countOthers(-1);
      return false;
    }
    if (this.#count(at, -1) > 0) return false;
    this.#slots.delete(ino);
    this.#free.push(at);
    return true;
  }

  [Symbol.dispose](): void {
    this.#mapping.close();
    closeSync(this.fd);
  }

  #begin(ino: number, id: number): void {
    const at = this.#free.pop()!;
    this.#words[at] = ino;
    this.#words[at + 1] = Math.floor(ino / 2 ** 32);
    this.#words[at + 2] = id;
    Atomics.store(this.#words, at + 3, 1);
    this.#slots.set(ino, at);
  }

  #countOthers(change: number): void {
    Atomics.add(this.#words, 0, change);
  }

  /** In one piece, behind all that was written before: who finds a count finds what belongs to it. */
  #count(at: number, change: number): number {
    return Atomics.add(this.#words, at + 3, change) + change;
  }

  #inoAt(at: number): number {
    return (this.#words[at + 1]! >>> 0) * 2 ** 32 + (this.#words[at]! >>> 0);
  }
}
