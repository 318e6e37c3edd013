import { modeOfType } from '@anole/vfs';
/**
 * Writes the archives the kernel unpacks as its first file system: cpio in the "newc" format
 * (Linux Documentation/driver-api/early-userspace/buffer-format.rst). Several may follow each other.
 */
export type CpioEntry = { readonly path: string; readonly mode: number } & (
  | { readonly type: 'file'; readonly bytes: Uint8Array }
  | { readonly type: 'directory' }
  | { readonly type: 'symlink'; readonly target: string }
  | { readonly type: 'character'; readonly major: number; readonly minor: number }
);

const encoder = new TextEncoder();

/** The archive's bytes, a multiple of 512. Parents must come before what they hold. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const push = (bytes: Uint8Array, alignment: number) => {
    const padding = -(size + bytes.length) & (alignment - 1);
    parts.push(bytes, new Uint8Array(padding));
    size += bytes.length + padding;
  };
  entries.forEach((entry, index) => {
    const data = content(entry);
    push(header(entry, index + 1, data.length), 4);
    push(data, 4);
  });
  push(header({ path: 'TRAILER!!!', type: 'file', mode: 0, bytes: data0 }, 0, 0), 512);
  const archive = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}

const data0 = new Uint8Array(0);

function content(entry: CpioEntry): Uint8Array {
  if (entry.type === 'file') return entry.bytes;
  return entry.type === 'symlink' ? encoder.encode(entry.target) : data0;
}

/** Magic and 13 fields of 8 hexadecimal digits, then the name with a NUL. */
function header(entry: CpioEntry, ino: number, size: number): Uint8Array {
  const name = encoder.encode(`${entry.path}\0`);
  const device = entry.type === 'character' ? entry : { major: 0, minor: 0 };
  const mode = ino === 0 ? 0 : modeOfType[entry.type] | entry.mode;
  const links = entry.type === 'directory' ? 2 : 1;
  const fields = [
    ino,
    mode,
    0, // uid
    0, // gid
    links,
    0, // mtime
    size,
    0, // device of the file
    0,
    device.major,
    device.minor,
    name.length,
    0, // checksum, of another format
  ];
  const text = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  const bytes = new Uint8Array(110 + name.length);
  bytes.set(encoder.encode(`070701${text}`));
  bytes.set(name, 110);
  return bytes;
}
