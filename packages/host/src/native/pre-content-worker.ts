import { closeSync, fstatSync, readSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemCode } from '../errors.ts';
import { lastError, native, nativeError } from './koffi.ts';
import { type AccessEvent, answerEvent, parseEvents } from './pre-content-events.ts';
import { ReadyBlocks } from './ready-blocks.ts';

/** What a thread is made for: it takes the events of a group until it is told to end. */
export interface EventThread {
  readonly group: number;
  /** Can be read once the thread is to end. */
  readonly end: number;
  readonly notes: readonly FileNote[];
}

/** That a file is marked, and what of it is there; without that, that nobody needs to know any more. */
export interface FileNote {
  readonly ino: number;
  readonly ready?: Pick<ReadyBlocks, 'size' | 'words'>;
}

const poll = native('int poll(void *descriptors, unsigned long count, int timeout)');

/** poll.h. A descriptor's second word has what is asked for, and in its upper half what is. */
const POLLIN = 1;
const FOUND = 16;

const BUFFER = 64 * 1024;
/** Where so many events came at once there may be more of before the end was told. */
const MANY = 1024;

const port = parentPort!;
const { group, end, notes } = workerData as EventThread;
const files = new Map<number, ReadyBlocks>();
const buffer = Buffer.alloc(BUFFER);
let isOver = false;
for (const each of notes) note(each);

while (!isOver) {
  const isTold = wait();
  const events = take();
  isOver = isTold && events.length < MANY;
  // Those of a file came before its events.
  for (let each = receiveMessageOnPort(port); each; each = receiveMessageOnPort(port)) {
    note(each.message as FileNote);
  }
  const others = events.filter((event) => !settle(event));
  if (others.length > 0) port.postMessage(others);
}

/** Waits, in this thread: nobody is woken in between. Whether the end was told. */
function wait(): boolean {
  const descriptors = new Int32Array([group, POLLIN, end, POLLIN]);
  while (poll(descriptors, 2, -1) < 0) {
    if (lastError() !== 'EINTR') throw nativeError('wait for reads');
  }
  return descriptors[3]! >> FOUND !== 0;
}

/** What there is, which is nothing where who was to wait was killed, or the end was told. */
function take(): readonly AccessEvent[] {
  try {
    return parseEvents(buffer.subarray(0, readSync(group, buffer, 0, BUFFER, null)));
  } catch (error) {
    if (systemCode(error) === 'EAGAIN') return [];
    throw error;
  }
}

function note({ ino, ready }: FileNote): void {
  if (ready) files.set(ino, new ReadyBlocks(ready.size, ready.words));
  else files.delete(ino);
}

/** Answers where nobody needs to be asked. */
function settle({ fd, offset, length }: AccessEvent): boolean {
  const { ino } = fstatSync(fd);
  if (!files.get(ino)?.has(offset, length)) return false;
  answerEvent(group, fd, true);
  closeSync(fd);
  return true;
}
