import { spawn } from 'node:child_process';
import { closeSync, fstatSync, read, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { HostError, hostError, systemCode } from '../errors.ts';
import { check, native } from './koffi.ts';

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
const FAN_Q_OVERFLOW = 0x4000n;
const FAN_ALLOW = 1;
const FAN_DENY = 2;
const INFO_RANGE = 6;
/** struct fanotify_event_metadata, its version, and struct fanotify_event_info_range. */
const METADATA = 24;
const METADATA_VERSION = 3;
const RANGE = 24;
const AT_FDCWD = -100;
const O_RDWR_LARGEFILE = 0o2 | 0o100000;
const BUFFER = 64 * 1024;
const EIO = 5;

const readDevice = promisify(read);

/** Somebody is about to read a range of a file, and waits until {@link PreContentGroup.answer}. */
export interface AccessEvent {
  /**
   * The file, opened so that using it raises no events. The receiver owns it, and closes it after the
   * answer.
   */
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
  /** Process that reads. */
  readonly pid: number;
}

/**
 * Files whose contents come when they are read (fanotify's pre-content events, Linux 6.14): whoever
 * reads a marked file waits until the range has been put there. When the last descriptor of a group
 * is closed, all readers go on, and holes read as zeros: who must prevent that gives the descriptor
 * to another process too.
 *
 * A descriptor that was open before its file was marked raises no events. Needs root.
 */
export class PreContentGroup implements AsyncDisposable {
  readonly fd: number;
  /** A marked file: that it is read ends {@link next}, which nothing else could interrupt. */
  readonly #bell: string;
  readonly #bellInode: number;
  #closing = false;
  #isClosed = false;
  /** Whether the bell has been rung and not been heard yet. */
  #isRinging = false;
  #reading: Promise<unknown> | undefined;

  /**
   * @param bell path of a file that this one may make, in a file system that is marked; not one that
   * another group has
   * @param fd of a group that exists, which passes to this one
   * @throws HostError `HOST_NO_NATIVE`, `HOST_NOT_PERMITTED`, `HOST_IO` where kernel or file system
   * have no such events
   */
  constructor(bell: string, fd?: number) {
    const flags = FAN_CLOEXEC | FAN_CLASS_PRE_CONTENT | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
    this.fd = fd ?? check(fanotifyInit(flags, O_RDWR_LARGEFILE), 'watch for reads');
    this.#bell = bell;
    try {
      // Writing to the bell of another, which may be watched, would wait for an answer.
      rmSync(bell, { force: true });
      writeFileSync(bell, 'bell');
      this.#bellInode = statSync(bell).ino;
      this.mark(bell);
    } catch (error) {
      closeSync(this.fd);
      throw hostError(error, 'watch for reads');
    }
    process.on('exit', this.#onExit);
  }

  /** @throws HostError `HOST_IO` where the kernel or the file system does not know such events */
  mark(path: string): void {
    check(fanotifyMark(this.fd, FAN_MARK_ADD, FAN_PRE_ACCESS, AT_FDCWD, path), `watch ${path}`);
  }

  unmark(path: string): void {
    check(fanotifyMark(this.fd, FAN_MARK_REMOVE, FAN_PRE_ACCESS, AT_FDCWD, path), `leave ${path}`);
  }

  /**
   * The next events; none when the group is being closed, until when it must be called again and again. It keeps a thread of Node's pool waiting.
   *
   * @throws HostError
   */
  async next(): Promise<readonly AccessEvent[]> {
    const buffer = Buffer.alloc(BUFFER);
    // Others may read before the bell is heard: somebody has to answer them.
    while (!this.#closing || this.#isRinging) {
      try {
        const reading = readDevice(this.fd, buffer, 0, BUFFER, null);
        this.#reading = reading;
        const { bytesRead } = await reading;
        const events = parseEvents(buffer.subarray(0, bytesRead)).filter(
          (each) => !this.#isBell(each),
        );
        if (events.length > 0) return events;
      } catch (error) {
        if (systemCode(error) !== 'EINTR') throw hostError(error, 'watch for reads');
      } finally {
        this.#reading = undefined;
      }
    }
    return [];
  }

  /** Lets a reader go on, or fail with EIO. */
  answer(fd: number, allow: boolean): void {
    const response = Buffer.alloc(8);
    response.writeInt32LE(fd, 0);
    // FAN_DENY_ERRNO
    response.writeUInt32LE(allow ? FAN_ALLOW : FAN_DENY | (EIO << 24), 4);
    writeSync(this.fd, response);
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
    process.off('exit', this.#onExit);
    if (!this.#reading) return;
    this.#isRinging = true;
    await readFile(this.#bell);
  }

  /** Ends {@link next}, and closes the descriptor. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.stop();
    closeSync(this.fd);
    rmSync(this.#bell, { force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Somebody rings: the event has done what it is for. */
  #isBell({ fd }: AccessEvent): boolean {
    if (fstatSync(fd).ino !== this.#bellInode) return false;
    this.#isRinging = false;
    this.answer(fd, true);
    closeSync(fd);
    return true;
  }

  /** Node waits for its pool when it ends: a thread that waits for events has to come back. */
  readonly #onExit = () => {
    if (this.#reading) spawn('cat', [this.#bell], { stdio: 'ignore', detached: true });
  };
}

function parseEvents(bytes: Buffer): readonly AccessEvent[] {
  const events: AccessEvent[] = [];
  for (let at = 0; at + METADATA <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (bytes[at + 4] !== METADATA_VERSION || length < METADATA || at + length > bytes.length) {
      throw new HostError('HOST_IO', 'Cannot read events of files: the kernel speaks otherwise');
    }
    const event = bytes.subarray(at, at + length);
    if (event.readBigUInt64LE(8) !== FAN_Q_OVERFLOW) events.push(parseEvent(event));
    at += length;
  }
  return events;
}

/** Without a range, it is the whole file. */
function parseEvent(event: Buffer): AccessEvent {
  const fd = event.readInt32LE(16);
  const pid = event.readInt32LE(20);
  for (let at = event.readUInt16LE(6); at + 4 <= event.length; ) {
    const length = event.readUInt16LE(at + 2);
    if (event[at] === INFO_RANGE && length >= RANGE) {
      const offset = Number(event.readBigUInt64LE(at + 8));
      return { fd, pid, offset, length: Number(event.readBigUInt64LE(at + 16)) };
    }
    if (length < 4) break;
    at += length;
  }
  return { fd, pid, offset: 0, length: Number.MAX_SAFE_INTEGER };
}
