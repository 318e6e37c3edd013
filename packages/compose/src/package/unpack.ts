import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { hostError } from '@anole/host';
import type { TarEntry } from '@anole/vfs';
import { type Deb, readControl, readData } from './deb.ts';
import { type UnpackedEntry, writeTrailer } from './unpacked.ts';

/** Bytes gathered before a write, so that packages of small files do not write each by itself. */
const BUFFER = 1024 * 1024;

/**
 * Unpacks a package into one file of the cache, which appears whole or not at all. Writes with
 * blocking calls: meant for a worker thread.
 *
 * @param temporary a path in the directory of `path` that no other writer uses
 * @throws PackageError, TarError, HostError `HOST_NO_SPACE`
 */
export async function unpackDeb(deb: Deb, path: string, temporary: string): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(temporary, 'wx');
    try {
      await writeUnpacked(deb, new Appender(file));
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw hostError(error, `unpack a package into ${path}`);
  }
}

async function writeUnpacked(deb: Deb, out: Appender): Promise<void> {
  const control = Object.fromEntries(await readControl(deb));
  const entries: UnpackedEntry[] = [];
  for await (const entry of readData(deb)) {
    const offset = out.position;
    if (entry.type === 'file') for await (const chunk of entry.body()) out.append(chunk);
    entries.push(describe(entry, offset));
  }
  const contentsSize = out.position;
  out.append(new TextEncoder().encode(JSON.stringify({ control, entries })));
  out.append(writeTrailer(contentsSize, out.position - contentsSize));
  out.flush();
}

function describe(entry: TarEntry, offset: number): UnpackedEntry {
  const { path, type, mode, uid, gid } = entry;
  const common = { path, type, mode, uid, gid, mtime: entry.mtime.seconds };
  return {
    ...common,
    ...(type === 'file' ? { size: entry.size, offset } : {}),
    ...(type === 'symlink' || type === 'hardlink' ? { target: entry.target } : {}),
    ...(entry.rdev === undefined ? {} : { rdev: entry.rdev }),
    ...(entry.xattrs.size === 0 ? {} : { xattrs: encodeXattrs(entry.xattrs) }),
  };
}

function encodeXattrs(xattrs: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries(
    [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  );
}

class Appender {
  /** Bytes appended so far, those in the buffer included. */
  position = 0;
  private readonly file: number;
  private readonly buffer = new Uint8Array(BUFFER);
  private used = 0;

  constructor(file: number) {
    this.file = file;
  }

  append(bytes: Uint8Array): void {
    this.position += bytes.length;
    if (this.used + bytes.length > BUFFER) this.flush();
    if (bytes.length >= BUFFER) {
      writeAll(this.file, bytes);
    } else {
      this.buffer.set(bytes, this.used);
      this.used += bytes.length;
    }
  }

  flush(): void {
    writeAll(this.file, this.buffer.subarray(0, this.used));
    this.used = 0;
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}
