import { closeSync } from 'node:fs';
import type { Awaitable } from '@anole/bytes';
import type { Backings } from '@anole/fuse';
import type { FuseBackings } from '@anole/host/native';
import type { TreeNode } from '@anole/vfs';
import type { OnDemandImage } from '../on-demand/image.ts';
import type { FilesOfImage } from './files-of-image.ts';
import type { OpenFiles } from './open-files.ts';
import { isHere } from './places.ts';
import type { SpareTime } from './spare-time.ts';
import type { Pieces, WholeFiles } from './whole-files.ts';

/** Bytes of the smallest file that is passed: what the kernel reads at once anyway. */
const LEAST = 128 * 1024;
/** Bytes of a file that whoever opens it may wait for: to prove it takes less than to decode it. */
const SOON = 4 * 1024 * 1024;
/** Bytes that are made at once. */
const PIECE = 256 * 1024;
/** Files that wait to be made or proven. */
const WAITING = 64;
/** Files of which it is remembered how often they were opened. */
const REMEMBERED = 8192;

/** What passes files of all mounts of a service. */
export interface Passing {
  readonly files: WholeFiles;
  readonly spare: SpareTime;
}

/**
 * Files of one mount that the kernel reads by itself: whole and decoded, from the cache. A file is made at its second
 * opening, where all of it is here, and passed as soon as nobody has it open any more who reads it through the service.
 */
export class PassedFiles implements Backings {
  readonly #image: OnDemandImage;
  readonly #passing: Passing;
  readonly #files: FilesOfImage;
  readonly #open: OpenFiles;
  readonly #device: FuseBackings;
  readonly #ending = new AbortController();
  /** How often files were opened that are none of ours yet. */
  readonly #seen = new Map<number, number>();
  /** What is being made or proven. */
  readonly #busy = new Map<number, Promise<void>>();
  #trying: Promise<void> | undefined;
  #isTried: boolean;
  #why: string | undefined;
  #opens = 0;

  /** Takes over `open`. */
  constructor(image: OnDemandImage, passing: Passing, open: OpenFiles, device: FuseBackings) {
    this.#image = image;
    this.#passing = passing;
    this.#files = passing.files.ofImage(image.digest);
    this.#open = open;
    this.#device = device;
    this.#isTried = open.hasPassed;
  }

  /** Times that files were opened so. */
  get opens(): number {
    return this.#opens;
  }

  /** Why the kernel, which agreed, reads no file by itself. Known once {@link try} is done. */
  get why(): string | undefined {
    return this.#why ?? (this.#open.isFull ? 'too many files were open at once' : undefined);
  }

  /** Finds out whether files of the cache can be passed. Undefined where that is known. */
  try(): Promise<void> | undefined {
    if (this.#isTried) return undefined;
    this.#trying ??= this.#passing.files
      .tryOne((fd) => this.#device.close(this.#device.open(fd)))
      .catch((error: unknown) => {
        this.#why = String(error);
      })
      .finally(() => {
        this.#isTried = true;
      });
    return this.#trying;
  }

  open(node: TreeNode): Awaitable<number | undefined> {
    const { ino, size } = node.stat;
    // Whoever has it open decides for all.
    const known = this.#open.get(ino);
    if (known !== undefined) {
      if (known.id === 0) this.#seeAgain(ino, size);
      return this.#opened(ino, known.id);
    }
    const waited = this.try() ?? (size < LEAST ? undefined : this.#proof(ino, size));
    return waited === undefined ? this.#openFirst(ino, size) : waited.then(() => this.open(node));
  }

  close(ino: number, id: number, isRepeated: boolean): void {
    // Who says so again may have been heard: better once too often open than once too seldom.
    if (isRepeated || this.#open.get(ino)?.id !== id) return;
    if (this.#open.closed(ino) && id !== 0) this.#device.close(id);
  }

  /** Ends what is being made. */
  async stop(): Promise<void> {
    this.#ending.abort(new Error('the mount has ended'));
    await Promise.all(this.#busy.values());
  }

  [Symbol.dispose](): void {
    this.#open[Symbol.dispose]();
  }

  #openFirst(ino: number, size: number): number | undefined {
    if (this.#why !== undefined) return undefined;
    if (size < LEAST || this.#open.isFull) return 0;
    const id = this.#idOf(ino, size);
    if (id === 0) this.#seeAgain(ino, size);
    return this.#opened(ino, id);
  }

  #opened(ino: number, id: number): number {
    this.#open.opened(ino, id);
    if (id !== 0) this.#opens++;
    return id;
  }

  /** The kernel's number for the file of an inode; 0 where there is none. */
  #idOf(ino: number, size: number): number {
    const fd = this.#files.open(ino, size);
    if (fd === undefined) return 0;
    try {
      return this.#device.open(fd);
    } catch {
      // The kernel has no memory for it, or the mount is gone.
      return 0;
    } finally {
      closeSync(fd);
    }
  }

  /** What whoever opens a file waits for: that it is proven, where that is soon. */
  #proof(ino: number, size: number): Promise<void> | undefined {
    if (size > SOON || this.#files.state(ino) !== 'unproven') return undefined;
    return this.#work(ino, () => this.#files.prove(ino, size));
  }

  /** Sees to it that a file can be passed the next time. */
  #seeAgain(ino: number, size: number): void {
    const { spare } = this.#passing;
    const moment = () => spare.moment(this.#ending.signal);
    if (this.#busy.has(ino) || this.#busy.size >= WAITING) return;
    if (this.#files.state(ino) === 'unproven') {
      void this.#work(ino, () => spare.do(() => this.#files.prove(ino, size, moment)));
      return;
    }
    const times = (this.#seen.get(ino) ?? 0) + 1;
    if (this.#seen.size >= REMEMBERED) this.#seen.clear();
    this.#seen.set(ino, times);
    // In vain it is tried more and more seldom.
    if (times < 2 || (times & (times - 1)) !== 0) return;
    void this.#work(ino, () => spare.do(() => this.#make(ino, size, moment)));
  }

  async #make(ino: number, size: number, moment: () => Promise<void>): Promise<void> {
    // Nobody asks for what is not here.
    if (!(await isHere(this.#image, ino, moment))) return;
    await this.#files.make(ino, size, this.#pieces(ino, size, moment));
  }

  async *#pieces(ino: number, size: number, moment: () => Promise<void>): Pieces {
    const node = await this.#image.tree.byIno(ino);
    const memory = new Uint8Array(Math.min(PIECE, size));
    for (let at = 0; at < size; ) {
      await moment();
      const count = await node.readInto(at, memory.subarray(0, Math.min(PIECE, size - at)));
      if (count === 0) return;
      yield memory.subarray(0, count);
      at += count;
    }
  }

  /** Does some work for a file, once at a time. What fails is as if it had not been begun. */
  #work(ino: number, work: () => Promise<void>): Promise<void> {
    let done = this.#busy.get(ino);
    if (done === undefined) {
      done = work()
        .catch(() => {})
        .finally(() => this.#busy.delete(ino));
      this.#busy.set(ino, done);
    }
    return done;
  }
}
