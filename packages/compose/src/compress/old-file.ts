import type { Stats } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { hostError, systemCode, writeAt } from '@anole/host';
import { nextData } from '@anole/host/native';

/** Bytes read at once, and how many of them are left out at least where they are zeros. */
const READ_SIZE = 1024 * 1024;
const ZEROS = Buffer.alloc(64 * 1024);

/** A file that an image is put into: a copy with the image takes its place, which has its owner and permissions. */
export class OldFile {
  /** Where it lies, whatever links led there. */
  readonly path: string;
  readonly #stats: Stats;

  private constructor(path: string, stats: Stats) {
    this.path = path;
    this.#stats = stats;
  }

  /**
   * Undefined where there is none.
   *
   * @throws HostError
   */
  static async at(path: string): Promise<OldFile | undefined> {
    try {
      const real = await realpath(path);
      return new OldFile(real, await stat(real));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw hostError(error, `write ${path}`);
    }
  }

  async giveOwner(to: FileHandle): Promise<void> {
    const { uid, gid, mode } = this.#stats;
    await to.chown(uid, gid);
    await to.chmod(mode & 0o7777);
  }

  /**
   * Copies what it holds before `start` and from `end` on. Zeros are left out: such files are mostly holes.
   *
   * @returns its size
   */
  async copyAround(to: number, start: number, end: number, signal?: AbortSignal): Promise<number> {
    await using file = await open(this.path);
    const { size } = await file.stat();
    await copyData(file, to, 0, Math.min(start, size), signal);
    await copyData(file, to, end, size, signal);
    return size;
  }
}

async function copyData(
  file: FileHandle,
  to: number,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(READ_SIZE);
  for (let at = start; at < end; ) {
    signal?.throwIfAborted();
    const data = nextData(file.fd, at);
    if (data === undefined || data >= end) return;
    const { bytesRead } = await file.read(buffer, 0, Math.min(READ_SIZE, end - data), data);
    if (bytesRead === 0) return;
    for (let done = 0; done < bytesRead; done += ZEROS.length) {
      const bytes = buffer.subarray(done, Math.min(done + ZEROS.length, bytesRead));
      if (!bytes.equals(ZEROS.subarray(0, bytes.length))) writeAt(to, data + done, bytes);
    }
    at = data + bytesRead;
  }
}
