import { once } from 'node:events';
import { closeSync, constants, fstatSync, openSync, statSync, writeSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { hostError, systemCode } from '../errors.ts';
import { startThread } from '../threads.ts';
import { eventCounter } from './event-counter.ts';
import { O_TMPFILE } from './file-calls.ts';
import { check, native } from './koffi.ts';
import { type AccessEvent, answerEvent } from './pre-content-events.ts';
import type { EventThread, FileNote } from './pre-content-worker.ts';
import { neverWait } from './read-now.ts';
import type { ReadyBlocks } from './ready-blocks.ts';

const fanotifyInit = native('int fanotify_init(unsigned int flags, unsigned int event_flags)');
const fanotifyMark = native(
  'int fanotify_mark(int fd, unsigned int flags, uint64_t mask, int directory, const char *path)',
);

/** linux/fanotify.h */
const FAN_CLOEXEC = 1;
const FAN_CLASS_PRE_CONTENT = 8;
const FAN_UNLIMITED_QUEUE = 0x10;
const FAN_UNLIMITED_MARKS = 0x20;
const FAN_MARK_ADD = 1;
const FAN_MARK_REMOVE = 2;
const FAN_PRE_ACCESS = 0x100000n;
const AT_FDCWD = -100;
const O_RDWR_LARGEFILE = 0o2 | 0o100000;
/** What a thread that has ended has for a number. */
const ENDED = -1;
/** The thread leaves little behind. */
const resourceLimits = { maxYoungGenerationSizeMb: 1 };

/**
 * Files whose contents come when they are read (fanotify's pre-content events, Linux 6.14): whoever
 * reads a marked file waits until the range has been put there. When the last descriptor of a group
 * is closed, all readers go on, and holes read as zeros: who must prevent that gives the descriptor
 * to another process too.
 *
 * Events go on being raised for what is there already, so a thread takes them, which answers those at once
 * (docs/decisions/0263-events-for-what-is-there.md).
 *
 * A descriptor that was open before its file was marked raises no events. Needs root.
 */
export class PreContentGroup implements AsyncDisposable {
  readonly fd: number;
  /** Counts once the thread is to end, which waits for events and for this. */
  readonly #end: number;
  #closing = false;
  #isClosed = false;
  /** Takes events, from the first {@link next} on. */
  #thread: Worker | undefined;
  /** Notes for the thread before there is one. */
  readonly #notes: FileNote[] = [];
  /** Notes that it was sent. */
  readonly #sent = new Int32Array(new SharedArrayBuffer(4));
  #events: AccessEvent[] = [];
  #arrived: (() => void) | undefined;

  /**
   * @param directory in the file system of the files that are to be marked: whether it has such events is tried there
   * @param fd of a group that exists, which passes to this one
   * @throws HostError `HOST_NO_NATIVE`, `HOST_NOT_PERMITTED`, `HOST_IO` where kernel or file system
   * have no such events
   */
  constructor(directory: string, fd?: number) {
    const flags = FAN_CLOEXEC | FAN_CLASS_PRE_CONTENT | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
    this.fd = fd ?? check(fanotifyInit(flags, O_RDWR_LARGEFILE), 'watch for reads');
    try {
      // An event that the thread was woken for is gone where its reader was killed meanwhile.
      neverWait(this.fd);
      this.#try(directory);
      this.#end = eventCounter();
    } catch (error) {
      closeSync(this.fd);
      throw hostError(error, 'watch for reads');
    }
    process.on('exit', this.#tellEnd);
  }

  /**
   * @param file its path, or a descriptor of it: its path may be gone, or another's
   * @param ready blocks for which nobody is asked, as long as they are noted there
   * @throws HostError `HOST_IO` where the kernel or the file system does not know such events
   */
  mark(file: string | number, ready?: ReadyBlocks): void {
    const [directory, path] = typeof file === 'string' ? [AT_FDCWD, file] : [file, null];
    const { ino } = typeof file === 'string' ? statSync(file) : fstatSync(file);
    // Before the first event that it is meant for.
    if (ready) this.#note({ ino, ready });
    check(fanotifyMark(this.fd, FAN_MARK_ADD, FAN_PRE_ACCESS, directory, path), 'watch a file');
  }

  /** Of a file by its descriptor. @throws HostError where it is not marked */
  unmark(file: number): void {
    check(fanotifyMark(this.fd, FAN_MARK_REMOVE, FAN_PRE_ACCESS, file, null), 'leave a file');
    this.#note({ ino: fstatSync(file).ino });
  }

  /**
   * The next events; none when the group is being closed, until when it must be called again and again. From the first
   * call on a thread waits for them. Where that cannot go on, the process ends: nobody would answer those who read.
   */
  async next(): Promise<readonly AccessEvent[]> {
    if (this.#closing && this.#thread === undefined) return [];
    this.#thread ??= this.#start();
    const thread = this.#thread;
    while (this.#events.length === 0 && thread.threadId !== ENDED) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    return this.#events.splice(0);
  }

  /** Lets a reader go on, or fail with EIO. */
  answer(fd: number, allow: boolean): void {
    answerEvent(this.fd, fd, allow);
  }

  /**
   * Lets readers fail whose events somebody took who is gone. Only before the first {@link next}.
   *
   * @returns how many
   */
  dismiss(descriptors = 16_384): number {
    let dismissed = 0;
    for (let fd = 0; fd < descriptors; fd++) {
      try {
        this.answer(fd, false);
        dismissed++;
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error;
      }
    }
    return dismissed;
  }

  /** Ends {@link next}; events that it gave are answered yet. */
  async stop(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    process.off('exit', this.#tellEnd);
    if (this.#thread === undefined) return;
    const ended = this.#thread.threadId === ENDED ? undefined : once(this.#thread, 'exit');
    this.#tellEnd();
    await ended;
  }

  /** Ends {@link next}, and closes the descriptor. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.stop();
    closeSync(this.#end);
    closeSync(this.fd);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #start(): Worker {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const task: EventThread = {
      group: this.fd,
      end: this.#end,
      notes: this.#notes.splice(0),
      sent: this.#sent,
    };
    const thread = startThread(new URL(`./pre-content-worker.${extension}`, import.meta.url), {
      workerData: task,
      // Events bring descriptors that it has not opened.
      trackUnmanagedFds: false,
      resourceLimits,
    });
    thread.on('message', (events: readonly AccessEvent[]) => {
      this.#events.push(...events);
      this.#arrived?.();
    });
    thread.on('exit', () => this.#arrived?.());
    return thread;
  }

  #note(note: FileNote): void {
    if (this.#thread === undefined) {
      this.#notes.push(note);
      return;
    }
    this.#thread.postMessage(note);
    // It looks for messages only where there are some.
    Atomics.add(this.#sent, 0, 1);
  }

  /** Marks a file that is gone with its descriptor. */
  #try(directory: string): void {
    const fd = openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
    try {
      this.mark(`/proc/self/fd/${fd}`);
    } finally {
      closeSync(fd);
    }
  }

  /** Also as the process ends: Node waits then for its threads, so one that waits for events has to come back. */
  readonly #tellEnd = () => {
    writeSync(this.#end, new Uint8Array(new BigUint64Array([1n]).buffer));
  };
}
