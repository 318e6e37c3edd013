import { writeSync } from 'node:fs';
import { HostError } from '../errors.ts';
import { native } from './koffi.ts';

const write = native('int64_t write(int fd, const void *bytes, size_t length)');

/** linux/fanotify.h */
const FAN_Q_OVERFLOW = 0x4000;
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

const response = new Int32Array(2);

/**
 * Lets a reader go on, or fail with EIO.
 *
 * @param group descriptor of the group that has the event
 * @throws the system's error, as Node's own calls raise it: ENOENT where nobody waits for that
 */
export function answerEvent(group: number, fd: number, allow: boolean): void {
  response[0] = fd;
  // FAN_DENY_ERRNO
  response[1] = allow ? FAN_ALLOW : FAN_DENY | (EIO << 24);
  // Node's own call says reliably why not, or does it.
  if (write(group, response, 8) < 0) writeSync(group, response);
}

/**
 * Goes through what a read of a group's descriptor has given; an event without a range is of the whole file. Nothing is
 * made for an event: there may be thousands a second.
 *
 * @param size bytes that were read
 * @throws HostError `HOST_IO` where the kernel speaks otherwise
 */
export function eachEvent(
  view: DataView,
  size: number,
  take: (fd: number, offset: number, length: number, pid: number) => void,
): void {
  for (let at = 0; at + METADATA <= size; ) {
    const end = at + view.getUint32(at, true);
    if (view.getUint8(at + 4) !== METADATA_VERSION || end < at + METADATA || end > size) {
      throw new HostError('HOST_IO', 'Cannot read events of files: the kernel speaks otherwise');
    }
    const isOverflow = (view.getUint32(at + 8, true) & FAN_Q_OVERFLOW) !== 0;
    if (!isOverflow) {
      const range = rangeAt(view, at + view.getUint16(at + 6, true), end);
      const offset = range === 0 ? 0 : numberAt(view, range + 8);
      const length = range === 0 ? Number.MAX_SAFE_INTEGER : numberAt(view, range + 16);
      take(view.getInt32(at + 16, true), offset, length, view.getInt32(at + 20, true));
    }
    at = end;
  }
}

/** Where an event's range is; 0 where it has none. */
function rangeAt(view: DataView, from: number, end: number): number {
  for (let at = from; at + 4 <= end; ) {
    const length = view.getUint16(at + 2, true);
    if (view.getUint8(at) === INFO_RANGE && length >= RANGE && at + RANGE <= end) return at;
    if (length < 4) break;
    at += length;
  }
  return 0;
}

function numberAt(view: DataView, at: number): number {
  return view.getUint32(at, true) + 2 ** 32 * view.getUint32(at + 4, true);
}
