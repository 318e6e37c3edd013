import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventCounter } from './event-counter.ts';
import { check, lastError, native, nativeElsewhere, systemError } from './koffi.ts';

const read = native('int64_t read(int fd, void *buffer, size_t length)');
const fcntl = native('int fcntl(int fd, int command, long argument)');
const poll = nativeElsewhere('int poll(void *descriptors, unsigned long count, int timeout)');

/** linux/fcntl.h, poll.h */
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const POLLIN = 1;
/** Milliseconds until it is tried again where no thread is left to wait. */
const PAUSE = 5;

/** From now on no read of a descriptor waits, whoever has a copy of it. */
export function neverWait(fd: number): void {
  const flags = check(fcntl(fd, F_GETFL, 0), 'look at a descriptor');
  check(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 'set up a descriptor');
}

/**
 * Reads what is at hand of a descriptor that never waits, in this thread: a tenth of what it costs to have another
 * thread do it. Undefined where nothing is.
 *
 * @throws the system's error, as Node's own calls raise it
 */
export function readNow(fd: number, buffer: Uint8Array): number | undefined {
  const count = Number(read(fd, buffer, buffer.length));
  if (count >= 0) return count;
  if (lastError() === 'EAGAIN') return undefined;
  throw systemError();
}

let exit: number | undefined;

/**
 * A descriptor that can be read once the process ends. Node waits then for the threads of its pool, and would wait for
 * ever for one that waits itself.
 */
function exiting(): number {
  if (exit !== undefined) return exit;
  const counter = eventCounter();
  process.on(
    'exit',
    () => void writeSync(counter, new Uint8Array(new BigUint64Array([1n]).buffer)),
  );
  exit = counter;
  return counter;
}

/** Waits, in a thread of Node's pool, until a descriptor can be read, its other end is gone, or the process ends. */
export async function readable(fd: number): Promise<void> {
  const descriptors = new Int32Array([fd, POLLIN, exiting(), POLLIN]);
  try {
    await poll(descriptors, 2, -1);
  } catch {
    await sleep(PAUSE);
  }
}
