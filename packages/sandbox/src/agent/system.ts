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

/** A file's text, for the small ASCII files of /etc and /proc; '' where it cannot be read. */
export function readText(path: string, limit = 1 << 20): string {
  const fd = os.open(path, openFlags.readOnly);
  if (fd < 0) return '';
  const buffer = new ArrayBuffer(readMax);
  const parts: string[] = [];
  for (let total = 0; total < limit; ) {
    const count = os.read(fd, buffer, 0, readMax);
    if (count <= 0) break;
    total += count;
    for (let at = 0; at < count; at += 8192) {
      const part = new Uint8Array(buffer, at, Math.min(8192, count - at));
      parts.push(String.fromCharCode.apply(null, part as unknown as number[]));
    }
  }
  os.close(fd);
  return parts.join('');
}

/** Writes ASCII text into a file that is there, as the kernel's own are. False where that fails. */
export function writeText(path: string, text: string): boolean {
  const fd = os.open(path, openFlags.writeOnly);
  if (fd < 0) return false;
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  const count = os.write(fd, bytes.buffer, 0, bytes.length);
  os.close(fd);
  return count === bytes.length;
}

export type FileKind = 'file' | 'executable' | 'directory' | 'absent' | 'unreadable';

export function kindOf(path: string): FileKind {
  const [stat, error] = os.stat(path);
  if (stat === null) return error === errno.io ? 'unreadable' : 'absent';
  if ((stat.mode & 0o170000) === 0o040000) return 'directory';
  return (stat.mode & 0o111) !== 0 ? 'executable' : 'file';
}

/** Opens a pipe's end anew without blocking: QuickJS has no fcntl, /proc serves instead. */
export function withoutBlocking(fd: number, flags: number): number {
  const again = os.open(`/proc/self/fd/${fd}`, flags | openFlags.nonBlock);
  os.close(fd);
  return again;
}
