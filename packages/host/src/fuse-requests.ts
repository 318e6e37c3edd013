import { read } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Awaitable } from '@anole/bytes';
import { hostError, systemCode } from './errors.ts';
import { hasNative } from './native/koffi.ts';
import { neverWait, readable, readNow } from './native/read-now.ts';

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
const passing: ReadonlySet<string | undefined> = new Set(['EINTR', NOTHING, 'ENOENT']);
/** Milliseconds until it is looked again where nothing is there, and no read waits. */
const PAUSE = 5;

const readElsewhere = promisify(read);

/**
 * Requests of a mount as the kernel hands them out, each in memory of its own until it is answered. The next one is
 * often there as soon as one is answered: so it is looked for in this thread first, where koffi is installed, and
 * another thread waits only where there is none (docs/decisions/0197-the-next-request-is-often-there.md).
 */
export class FuseRequests {
  readonly #fd: number;
  readonly #isNative: boolean;
  #size: number;
  #spare: Uint8Array | undefined;

  /** @param isNative whether this thread may look for requests */
  constructor(fd: number, maxWrite: number, isNative = hasNative()) {
    this.#fd = fd;
    this.#size = Math.max(OTHERS, maxWrite + HEADERS);
    this.#isNative = isNative;
    if (this.#isNative) neverWait(fd);
  }

  /** Undefined when the file system has been unmounted. @throws HostError */
  next(): Awaitable<Uint8Array | undefined> {
    if (!this.#isNative) return this.#nextElsewhere();
    const found = this.#nextHere();
    return found === 'none' ? this.#wait() : found;
  }

  /** Takes back the memory of a request, unless it is still being served. */
  free(request: Uint8Array, isServed: boolean): void {
    if (!isServed) this.#spare = new Uint8Array(request.buffer);
  }

  async #wait(): Promise<Uint8Array | undefined> {
    for (;;) {
      await readable(this.#fd);
      const found = this.#nextHere();
      if (found !== 'none') return found;
    }
  }

  #nextHere(): Uint8Array | undefined | 'none' {
    for (;;) {
      const buffer = this.#memory();
      try {
        const count = readNow(this.#fd, buffer);
        if (count !== undefined) return buffer.subarray(0, count);
        this.#spare = buffer;
        return 'none';
      } catch (error) {
        if (this.#isEnd(error)) return undefined;
      }
    }
  }

  async #nextElsewhere(): Promise<Uint8Array | undefined> {
    for (;;) {
      const buffer = this.#memory();
      try {
        const { bytesRead } = await readElsewhere(this.#fd, buffer, 0, buffer.length, null);
        return buffer.subarray(0, bytesRead);
      } catch (error) {
        this.#spare = buffer;
        if (this.#isEnd(error)) return undefined;
        if (systemCode(error) === NOTHING) await sleep(PAUSE);
      }
    }
  }

  #memory(): Uint8Array {
    const buffer = this.#spare ?? new Uint8Array(this.#size);
    this.#spare = undefined;
    return buffer;
  }

  /** Whether there are no more requests. @throws what is no reason to try again */
  #isEnd(error: unknown): boolean {
    const code = systemCode(error);
    if (code === UNMOUNTED) return true;
    // A server before this one told the kernel of a larger size.
    if (code === 'EINVAL' && this.#size < MAX_WRITE) this.#size = MAX_WRITE + HEADERS;
    else if (!passing.has(code)) throw hostError(error, 'read a request from /dev/fuse');
    return false;
  }
}
