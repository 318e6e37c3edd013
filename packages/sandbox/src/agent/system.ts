import { asciiText } from './wire.ts';

/** Linux values QuickJS does not name (asm-generic/fcntl.h, errno-base.h, stat.h). */
export const openFlags = {
  readOnly: 0,
  writeOnly: 1,
  readWrite: 2,
  noControl: 0o400,
  nonBlock: 0o4000,
  directory: 0o200000,
  noFollow: 0o400000,
  path: 0o10000000,
};
export const errno = { io: 5, again: 11, pipe: 32 };

/** Where the agent's own files are: bound there by the init script. */
export const toolsDirectory = '/run/anole';

export const readMax = 65536;

/** What is read, until the next file is: the pages of memory made anew would take longer than all the rest. */
const scratch = new ArrayBuffer(readMax);

/** A file's text, for the small ASCII files of /etc and /proc; '' where it cannot be read. */
export function readText(path: string, limit = 1 << 20): string {
  const fd = os.open(path, openFlags.readOnly);
  if (fd < 0) return '';
  let text = '';
  while (text.length < limit) {
    const count = os.read(fd, scratch, 0, Math.min(readMax, limit - text.length));
    if (count <= 0) break;
    text += asciiText(new Uint8Array(scratch, 0, count));
  }
  os.close(fd);
  return text;
}

/** The first bytes of a file, at most {@link readMax}, until the next one is read; none where it cannot be read. */
export function readBytes(path: string): Uint8Array {
  const fd = os.open(path, openFlags.readOnly);
  let length = 0;
  while (fd >= 0 && length < readMax) {
    const count = os.read(fd, scratch, length, readMax - length);
    if (count <= 0) break;
    length += count;
  }
  if (fd >= 0) os.close(fd);
  return new Uint8Array(scratch, 0, length);
}

/** Writes ASCII text into a file that is there, as the kernel's own are. False where that fails. */
export function writeText(path: string, text: string): boolean {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return writeBytes(path, bytes);
}

/** The same with bytes. */
export function writeBytes(path: string, { buffer, byteOffset, length }: Uint8Array): boolean {
  const fd = os.open(path, openFlags.writeOnly);
  if (fd < 0) return false;
  const count = os.write(fd, buffer as ArrayBuffer, byteOffset, length);
  os.close(fd);
  return count === length;
}

export type FileKind = 'file' | 'executable' | 'directory' | 'absent' | 'unreadable';

export function kindOf(path: string): FileKind {
  const answer = os.stat(path);
  const stat = answer[0];
  if (stat === null) return answer[1] === errno.io ? 'unreadable' : 'absent';
  if ((stat.mode & 0o170000) === 0o040000) return 'directory';
  return (stat.mode & 0o111) !== 0 ? 'executable' : 'file';
}

/** Opens a pipe's end anew without blocking: QuickJS has no fcntl, /proc serves instead. */
export function withoutBlocking(fd: number, flags: number): number {
  const again = os.open(`/proc/self/fd/${fd}`, flags | openFlags.nonBlock);
  os.close(fd);
  return again;
}
