import { closeSync } from 'node:fs';
import { type Awaitable, abortable, isPromise } from '@anole/bytes';
import type { Backings } from '@anole/fuse';
import { HostError } from '@anole/host';
import type { FuseBackings } from '@anole/host/native';
import type { TreeNode } from '@anole/vfs';
import type { OnDemandImage } from '../on-demand/image.ts';
import type { Pieces } from './contents.ts';
import type { FilesOfImage } from './files-of-image.ts';
import type { OpenFiles } from './open-files.ts';
import { isHere } from './places.ts';
import type { SpareTime } from './spare-time.ts';
import { Trial } from './trial.ts';
import type { WholeFiles } from './whole-files.ts';

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

/** What is done for a file. */
interface Work {
  readonly done: Promise<void>;
  /** Whether it was begun for somebody who waits: otherwise it may begin late. */
  readonly isUrgent: boolean;
}

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
  readonly #busy = new Map<number, Work>();
  readonly #trial: Trial;
  #opens = 0;
  #failures = 0;
  #failure: string | undefined;

  /** Takes over `open`. */
  constructor(image: OnDemandImage, passing: Passing, open: OpenFiles, device: FuseBackings) {
    this.#image = image;
    this.#passing = passing;
    this.#files = passing.files.ofImage(image.digest);
    this.#open = open;
    this.#device = device;
    this.#trial = new Trial(passing.files, device, open.hasPassed);
  }

  /** Times that files were opened so. */
  get opens(): number {
    return this.#opens;
  }

  /** Times that a file could not be made, or proven. */
  get failures(): number {
    return this.#failures;
  }

  /** Why, the last time. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Why the kernel, which agreed, reads no further file by itself. Known once {@link try} is done. */
  get why(): string | undefined {
    return (
      this.#trial.why ?? (this.#open.hasOthers ? 'too many files are open at once' : undefined)
    );
  }

  /** Finds out whether files of the cache can be passed. Undefined where that is known. */
  try(): Promise<void> | undefined {
    return this.#trial.run();
  }

  open({ stat: { ino, size } }: TreeNode): Awaitable<number | undefined> {
    const waited = this.#open.get(ino) === undefined ? this.#readiness(ino, size) : undefined;
    return waited === undefined
      ? this.#openNow(ino, size)
      : waited.then(() => this.#openNow(ino, size));
  }

  close({ stat: { ino, size } }: TreeNode, id: number, isRepeated: boolean): void {
    // Who says so again may have been heard: better once too often open than once too seldom.
    if (isRepeated || size < LEAST || (this.#open.get(ino)?.id ?? 0) !== id) return;
    if (this.#open.closed(ino) && id !== 0) this.#device.close(id);
  }

  /** Ends what is being made, and gives up what has not begun. */
  async stop(): Promise<void> {
    this.#ending.abort(new Error('the mount has ended'));
    await Promise.all([...this.#busy.values()].map(({ done }) => done));
  }

  [Symbol.dispose](): void {
    this.#open[Symbol.dispose]();
  }

  /** What whoever opens a file first waits for. */
  #readiness(ino: number, size: number): Promise<void> | undefined {
    const tried = this.try();
    if (tried !== undefined) return tried.then(() => this.#readiness(ino, size));
    return size < LEAST ? undefined : this.#proof(ino, size);
  }

  #openNow(ino: number, size: number): number | undefined {
    // Whoever has it open decides for all.
    const known = this.#open.get(ino);
    if (known === undefined) return this.#openFirst(ino, size);
    if (known.id === 0) this.#seeAgain(ino, size);
    return this.#opened(ino, known.id);
  }

  #openFirst(ino: number, size: number): number | undefined {
    if (this.#trial.state === 'never') return undefined;
    if (size < LEAST) return 0;
    // What cannot be noted must not be passed: nobody would know the next time.
    const mayPass = this.#trial.state === 'can' && this.#open.hasRoom;
    const id = mayPass ? this.#idOf(ino, size) : 0;
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

  /** That a file is proven, where that is soon. */
  #proof(ino: number, size: number): Promise<void> | undefined {
    if (size > SOON || this.#files.state(ino) !== 'unproven') return undefined;
    const { signal } = this.#ending;
    const busy = this.#busy.get(ino);
    if (busy !== undefined) return busy.isUrgent ? busy.done : undefined;
    return this.#work(ino, true, () =>
      this.#files.prove(ino, size, async () => signal.throwIfAborted()),
    );
  }

  /** Sees to it that a file can be passed the next time. */
  #seeAgain(ino: number, size: number): void {
    if (this.#busy.has(ino) || this.#busy.size >= WAITING) return;
    const moment = () => this.#passing.spare.moment(this.#ending.signal);
    if (this.#files.state(ino) === 'unproven') {
      this.#later(ino, () => this.#files.prove(ino, size, moment));
      return;
    }
    const times = (this.#seen.get(ino) ?? 0) + 1;
    if (this.#seen.size >= REMEMBERED) this.#seen.clear();
    this.#seen.set(ino, times);
    // In vain it is tried more and more seldom.
    if (times < 2 || (times & (times - 1)) !== 0) return;
    this.#later(ino, () => this.#make(ino, size, moment));
  }

  async #make(ino: number, size: number, moment: () => Promise<void>): Promise<void> {
    // Nobody asks for what is not here.
    if (!(await abortable(isHere(this.#image, ino, moment), this.#ending.signal))) return;
    const isMade = await this.#files.make(ino, size, this.#pieces(ino, size, moment));
    if (!isMade) throw new HostError('HOST_NO_SPACE', 'Cannot make a whole file: there is no room');
  }

  async *#pieces(ino: number, size: number, moment: () => Promise<void>): Pieces {
    const node = await this.#image.tree.byIno(ino);
    const memory = new Uint8Array(Math.min(PIECE, size));
    for (let at = 0; at < size; ) {
      await moment();
      const read = node.readInto(at, memory.subarray(0, Math.min(PIECE, size - at)));
      // A chunk that was wrong comes from afar.
      const count = isPromise(read) ? await abortable(read, this.#ending.signal) : read;
      if (count === 0) return;
      yield memory.subarray(0, count);
      at += count;
    }
  }

  #later(ino: number, work: () => Promise<void>): void {
    void this.#work(ino, false, () => this.#passing.spare.do(work, this.#ending.signal));
  }

  /** Does some work for a file. What fails is as if it had not been begun. */
  #work(ino: number, isUrgent: boolean, work: () => Promise<void>): Promise<void> {
    const done = work()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => this.#busy.delete(ino));
    this.#busy.set(ino, { done, isUrgent });
    return done;
  }

  #failed(error: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#failures++;
    this.#failure = String(error);
  }
}
