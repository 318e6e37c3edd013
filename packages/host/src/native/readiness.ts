import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { viewOf } from '@anole/bytes';
import { eventCounter } from './event-counter.ts';
import { check, native, nativeElsewhere } from './koffi.ts';

const create = native('int epoll_create1(int flags)');
const control = native('int epoll_ctl(int set, int operation, int fd, void *event)');
const wait = nativeElsewhere('int epoll_wait(int set, void *events, int most, int timeout)');

/** sys/epoll.h */
const CLOEXEC = 0o2000000;
const ADD = 1;
const CHANGE = 3;
const READABLE = 1;
/** It is told once, and then is as if it were not there. */
const ONCE = 1 << 30;
/** struct epoll_event: without a gap between its two fields on x86-64 alone. */
const EVENT = process.arch === 'x64' ? 12 : 16;
const DATA = EVENT - 8;
/** Descriptors that are told at once. */
const MOST = 64;
/** Milliseconds until it is looked again where nobody can wait. */
const PAUSE = 5;

/**
 * Descriptors that somebody waits for, and one thread of Node's pool that waits for all of them (epoll(7)): however
 * many mounts a process serves, the other threads are left to files and names.
 */
class Waited {
  readonly #set = check(create(CLOEXEC), 'wait for descriptors');
  readonly #event = new Uint8Array(EVENT);
  readonly #view = viewOf(this.#event);
  readonly #waiting = new Map<number, () => void>();
  #isWatched = false;

  constructor() {
    // Node waits at its end for the threads of its pool, and would wait for ever for one that waits itself.
    const end = eventCounter();
    this.#ask(end);
    const one = new Uint8Array(new BigUint64Array([1n]).buffer);
    process.on('exit', () => void writeSync(end, one));
  }

  /** Resolves once a descriptor can be read, or nobody can tell. One waits for a descriptor at a time. */
  readable(fd: number): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#ask(fd)) return void sleep(PAUSE).then(resolve);
      this.#waiting.set(fd, resolve);
      if (!this.#isWatched) void this.#watch();
    });
  }

  async #watch(): Promise<void> {
    this.#isWatched = true;
    const events = new Uint8Array(EVENT * MOST);
    const view = viewOf(events);
    while (this.#waiting.size > 0) {
      try {
        const count = await wait(this.#set, events, MOST, -1);
        for (let at = 0; at < count; at++) this.#tell(view.getInt32(at * EVENT + DATA, true));
      } catch {
        // There is no thread to wait: whoever waits looks again.
        await sleep(PAUSE);
        for (const fd of [...this.#waiting.keys()]) this.#tell(fd);
      }
    }
    this.#isWatched = false;
  }

  #tell(fd: number): void {
    const resolve = this.#waiting.get(fd);
    this.#waiting.delete(fd);
    resolve?.();
  }

  /** One that was closed stays in the set as long as others have a copy of it, and is told no more. */
  #ask(fd: number): boolean {
    this.#view.setUint32(0, READABLE | ONCE, true);
    this.#view.setInt32(DATA, fd, true);
    const isKnown = control(this.#set, CHANGE, fd, this.#event) >= 0;
    return isKnown || control(this.#set, ADD, fd, this.#event) >= 0;
  }
}

let waited: Waited | undefined;

/**
 * Waits, in a thread of Node's pool that all share, until a descriptor can be read, or its other end is gone. It must not
 * be closed meanwhile.
 */
export function readable(fd: number): Promise<void> {
  waited ??= new Waited();
  return waited.readable(fd);
}
