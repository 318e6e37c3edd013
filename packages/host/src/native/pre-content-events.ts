import { writeSync } from 'node:fs';
import { HostError } from '../errors.ts';

/** linux/fanotify.h */
const FAN_Q_OVERFLOW = 0x4000n;
const FAN_ALLOW = 1;
const FAN_DENY = 2;
const INFO_RANGE = 6;
/** struct fanotify_event_metadata, its version, and struct fanotify_event_info_range. */
const METADATA = 24;
const METADATA_VERSION = 3;
const RANGE = 24;
const EIO = 5;

/** Somebody is about to read a range of a file, and waits until `PreContentGroup.answer`. */
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

/** Lets a reader go on, or fail with EIO. @param group descriptor of the group that has the event */
export function answerEvent(group: number, fd: number, allow: boolean): void {
  const response = Buffer.alloc(8);
  response.writeInt32LE(fd, 0);
  // FAN_DENY_ERRNO
  response.writeUInt32LE(allow ? FAN_ALLOW : FAN_DENY | (EIO << 24), 4);
  writeSync(group, response);
}

/** What a read of a group's descriptor has given. @throws HostError `HOST_IO` where the kernel speaks otherwise */
export function parseEvents(bytes: Buffer): readonly AccessEvent[] {
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
