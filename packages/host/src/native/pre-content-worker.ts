import { setPriority } from 'node:os';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { inodeOf } from './file-calls.ts';
import { closeDescriptor, native, nativeError } from './koffi.ts';
import { type AccessEvent, answerEvent, eachEvent } from './pre-content-events.ts';
import { readNow } from './read-now.ts';
import { ReadyBlocks } from './ready-blocks.ts';

/** What a thread is made for: it takes the events of a group until it is told to end. */
export interface EventThread {
  readonly group: number;
  /** Can be read once the thread is to end. */
  readonly end: number;
  readonly notes: readonly FileNote[];
  /** How many were sent since. */
  readonly sent: Int32Array<SharedArrayBuffer>;
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
const MOST_FAILURES = 1000;

/** So many events fit into it that where it is filled there may be more of before the end was told. */
const BUFFER = 64 * 1024;
const MANY = 48 * 1024;

/** Of this thread, as nice(2) has it: somebody waits for all that it does, and that is little. */
const PRIORITY = -10;

const port = parentPort!;
const { group, end, notes, sent } = workerData as EventThread;
const files = new Map<number, ReadyBlocks>();
const buffer = new Uint8Array(BUFFER);
const view = new DataView(buffer.buffer);
const descriptors = new Int32Array([group, POLLIN, end, POLLIN]);
let others: AccessEvent[] = [];
let received = 0;
for (const each of notes) note(each);
hurry();

for (let isOver = false; !isOver; ) {
  const isTold = wait();
  // Nothing, where who was to wait was killed, or the end was told.
  const size = readNow(group, buffer) ?? 0;
  isOver = isTold && size < MANY;
  receive();
  eachEvent(view, size, settle);
  if (others.length === 0) continue;
  port.postMessage(others);
  others = [];
}

/** Linux sets it for threads; 0 is the one that asks. */
function hurry(): void {
  try {
    setPriority(0, PRIORITY);
  } catch {
    // A container may not have the right to.
  }
}

/** Waits, in this thread: nobody is woken in between. Whether the end was told. */
function wait(): boolean {
  // Signals interrupt it; whatever else fails goes on failing.
  for (let failures = 0; poll(descriptors, 2, -1) < 0; ) {
    if (++failures > MOST_FAILURES) throw nativeError('wait for reads');
  }
  return descriptors[3]! >> FOUND !== 0;
}

/** Takes notes: those of a file were sent before it had events. */
function receive(): void {
  const count = Atomics.load(sent, 0);
  for (; received !== count; received = (received + 1) | 0) {
    note(receiveMessageOnPort(port)!.message as FileNote);
  }
}

function note({ ino, ready }: FileNote): void {
  if (ready) files.set(ino, new ReadyBlocks(ready.size, ready.words));
  else files.delete(ino);
}

/** Answers where nobody needs to be asked. */
function settle(fd: number, offset: number, length: number, pid: number): void {
  if (!files.get(inodeOf(fd))?.has(offset, length)) {
    others.push({ fd, offset, length, pid });
    return;
  }
  answerEvent(group, fd, true);
  closeDescriptor(fd);
}
