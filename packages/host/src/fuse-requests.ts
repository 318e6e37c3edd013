import { read } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Awaitable, isPromise } from '@anole/bytes';
import { hostError, systemCode } from './errors.ts';
import { hasNative } from './native/koffi.ts';
import { neverWait, readNow } from './native/read-now.ts';
import { readable } from './native/readiness.ts';

/** Bytes that one WRITE has at most, unless the server says less in INIT. */
export const MAX_WRITE = 1024 * 1024;
/** Room for the header of a WRITE, and for what FUSE may add: fuse_dev_do_read's minimum. */
const HEADERS = 8192;
/** Requests that are none have at most so many bytes: those of an ioctl. */
const OTHERS = 32 * 1024;
/** A read of /dev/fuse ends so when the file system is unmounted. */
export const UNMOUNTED = 'ENODEV';
/** Nothing is there, and a program before this one has set the descriptor so that reading it never waits. */
const NOTHING = 'EAGAIN';
/** The request was given up before it was read; or a signal came. */
const passing: ReadonlySet<string | undefined> = new Set(['EINTR', 'ENOENT']);
/** Milliseconds until it is looked again where nothing is there, and no read waits. */
const PAUSE = 5;

/** How a descriptor of /dev/fuse is read. */
export interface DeviceReads {
  /** The bytes of the next request; undefined where nothing is there. @throws the system's error */
  read(fd: number, buffer: Uint8Array): Awaitable<number | undefined>;
  /** Waits until there may be something. */
  wait(fd: number): Promise<void>;
}

/** By koffi: in this thread. Another one waits only where there is nothing. */
export const readsHere: DeviceReads = { read: readNow, wait: readable };

const readElsewhere = promisify(read);

/** By Node alone: in a thread of its pool, which waits in reading. */
export const readsElsewhere: DeviceReads = {
  async read(fd, buffer) {
    try {
      return (await readElsewhere(fd, buffer, 0, buffer.length, null)).bytesRead;
    } catch (error) {
      if (systemCode(error) === NOTHING) return undefined;
      throw error;
    }
  },
  wait: () => sleep(PAUSE),
};

/** A request; or that nothing is there, that it has to be looked again, that there will be none. */
type Look = Uint8Array | 'none' | 'again' | undefined;

/**
 * Requests of a mount as the kernel hands them out, each in memory of its own until it is answered. The next one is
 * often there as soon as one is answered: so it is looked for in this thread first, where koffi is installed, and
 * another thread waits only where there is none (docs/decisions/0197-the-next-request-is-often-there.md).
 */
export class FuseRequests {
  readonly #fd: number;
  readonly #reads: DeviceReads;
  #size: number;
  #spare: Uint8Array | undefined;

  constructor(fd: number, maxWrite: number, reads = hasNative() ? readsHere : readsElsewhere) {
    this.#fd = fd;
    this.#size = Math.max(OTHERS, maxWrite + HEADERS);
    this.#reads = reads;
    if (reads === readsHere) neverWait(fd);
  }

  /** Undefined when the file system has been unmounted. @throws HostError */
  next(): Awaitable<Uint8Array | undefined> {
    const look = this.#look();
    return isPromise(look) || look === 'none' || look === 'again' ? this.#wait(look) : look;
  }

  /** Takes back the memory of a request, unless it is still being served. */
  free(request: Uint8Array, isServed: boolean): void {
    if (!isServed) this.#spare = new Uint8Array(request.buffer);
  }

  async #wait(look: Awaitable<Look>): Promise<Uint8Array | undefined> {
    for (let found = await look; ; found = await this.#look()) {
      if (found === 'none') await this.#reads.wait(this.#fd);
      else if (found !== 'again') return found;
    }
  }

  #look(): Awaitable<Look> {
    const buffer = this.#spare ?? new Uint8Array(this.#size);
    this.#spare = undefined;
    const found = (count: number | undefined) => this.#found(buffer, count);
    const failed = (error: unknown) => this.#failed(buffer, error);
    try {
      const count = this.#reads.read(this.#fd, buffer);
      return isPromise(count) ? count.then(found, failed) : found(count);
    } catch (error) {
      return failed(error);
    }
  }

  #found(buffer: Uint8Array, count: number | undefined): Look {
    if (count !== undefined) return buffer.subarray(0, count);
    this.#spare = buffer;
    return 'none';
  }

  /** @throws HostError what is no reason to look again */
  #failed(buffer: Uint8Array, error: unknown): Look {
    const code = systemCode(error);
    if (code === UNMOUNTED) return undefined;
    if (passing.has(code)) this.#spare = buffer;
    // A server before this one told the kernel of a larger size.
    else if (code === 'EINVAL' && this.#size < MAX_WRITE) this.#size = MAX_WRITE + HEADERS;
    else throw hostError(error, 'read a request from /dev/fuse');
    return 'again';
  }
}
