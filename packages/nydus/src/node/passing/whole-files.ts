import { createHash, hash } from 'node:crypto';
import { closeSync, fstatSync, futimesSync, openSync } from 'node:fs';
import { mkdir, open, readdir, readlink, rename, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { HostError } from '@anole/host';
import { FilesOfImage } from './files-of-image.ts';

/** Bytes of all files together. */
const MOST = 1024 * 1024 * 1024;
/** Part of the disk that is left to others. */
const RESERVE = 1 / 20;
/** Bytes that are read at once to prove a file. */
const PIECE = 256 * 1024;
const PRIVATE = 0o600;

/** Gives the bytes of a file from its beginning, valid until the next are asked for; none at its end. */
export type Pieces = AsyncGenerator<Uint8Array, void>;

/**
 * Files of images, whole and decoded, on this computer: for a kernel that reads them in the place of a mount's. They
 * are named by the SHA-256 of what they have, so images share them, and mounts what the kernel keeps of them in memory:
 *
 *     content/SHA256         a file, or what is left of one where a disk or a power cut lost it
 *     images/IMAGE/INO       a symbolic link, whose target is that name
 *     making-PID-…           a file that is being made
 *
 * Each process proves a file once before its first use. The longest unused make room. Several processes may use one
 * directory: what one removes stays with who has it open.
 */
export class WholeFiles {
  readonly directory: string;
  readonly #most: number;
  /** Inode numbers of proven files, by their SHA-256. */
  readonly #proven = new Map<string, number>();
  #made = 0;
  #swept: Promise<void> | undefined;

  /** @param most bytes of the disk */
  constructor(directory: string, most: number = MOST) {
    this.directory = directory;
    this.#most = most;
  }

  /** @param digest names all bytes of an image */
  ofImage(digest: string): FilesOfImage {
    const name = hash('sha256', digest).slice(0, 40);
    return new FilesOfImage(this, join(this.directory, 'images', name));
  }

  /** Calls with an empty file as those that are made. @throws what that raises, and the disk */
  async tryOne(use: (fd: number) => void): Promise<void> {
    await mkdir(this.directory, { recursive: true });
    const path = this.#nextPath();
    await using file = await open(path, 'wx', PRIVATE);
    await rm(path);
    use(file.fd);
  }

  /** Opens a file that is proven, to be closed by the caller. */
  openProven(sha256: string, size: number): number | undefined {
    const ino = this.#proven.get(sha256);
    if (ino === undefined) return undefined;
    let fd: number | undefined;
    try {
      fd = openSync(this.#pathOf(sha256), 'r');
      const found = fstatSync(fd);
      if (found.ino === ino && found.size === size) {
        const now = Date.now() / 1000;
        futimesSync(fd, now, now);
        return fd;
      }
    } catch {
      // It has made room, or the disk has lost it.
    }
    if (fd !== undefined) closeSync(fd);
    this.#proven.delete(sha256);
    return undefined;
  }

  isProven(sha256: string): boolean {
    return this.#proven.has(sha256);
  }

  /** Reads a file that another process has made, or an earlier one. What is wrong is removed. */
  async prove(sha256: string, size: number, pause?: () => Promise<void>): Promise<boolean> {
    const path = this.#pathOf(sha256);
    const found = await digestOf(path, pause).catch(() => undefined);
    if (found?.sha256 === sha256 && found.stat.size === size) {
      this.#proven.set(sha256, found.stat.ino);
      return true;
    }
    if (found?.sha256 !== sha256) await rm(path, { force: true }).catch(() => {});
    return false;
  }

  /**
   * Makes a file of what `pieces` give, which are right.
   *
   * @returns its SHA-256; undefined where there is no room
   * @throws what `pieces` and the disk raise; then nothing is left
   */
  async make(size: number, pieces: Pieces): Promise<string | undefined> {
    await mkdir(join(this.directory, 'content'), { recursive: true });
    this.#swept ??= this.#sweep();
    await this.#swept;
    if (!(await this.#makeRoom(size))) return undefined;
    const path = this.#nextPath();
    try {
      const { sha256, ino } = await write(path, size, pieces);
      // Who has the one that is there shares its memory.
      if (this.isProven(sha256) || (await this.prove(sha256, size))) await rm(path);
      else {
        await rename(path, this.#pathOf(sha256));
        this.#proven.set(sha256, ino);
      }
      return sha256;
    } catch (error) {
      await rm(path, { force: true }).catch(() => {});
      throw error;
    }
  }

  #pathOf(sha256: string): string {
    return join(this.directory, 'content', sha256);
  }

  #nextPath(): string {
    return join(this.directory, `making-${process.pid}-${threadId}-${this.#made++}`);
  }

  /** Removes the longest unused until there is room. False: the file is too large, or the disk too full. */
  async #makeRoom(size: number): Promise<boolean> {
    if (size > this.#most / 2) return false;
    const all = await this.#list();
    let taken = all.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { sha256, bytes } of all) {
      if (taken + size <= this.#most) break;
      await rm(this.#pathOf(sha256), { force: true });
      this.#proven.delete(sha256);
      taken -= bytes;
    }
    const { bavail, blocks, bsize } = await statfs(this.directory);
    return bavail * bsize - size >= blocks * bsize * RESERVE;
  }

  /** What is there, the longest unused first. */
  async #list(): Promise<readonly { sha256: string; bytes: number; used: number }[]> {
    const names = await readdir(join(this.directory, 'content'));
    const found = await Promise.all(
      names.map(async (sha256) => {
        const at = await stat(this.#pathOf(sha256)).catch(() => undefined);
        return { sha256, bytes: (at?.blocks ?? 0) * 512, used: at?.mtimeMs ?? 0 };
      }),
    );
    return found.sort((a, b) => a.used - b.used);
  }

  /** Removes what killed processes were making, and names of files that are gone. */
  async #sweep(): Promise<void> {
    for (const name of await readdir(this.directory)) {
      const [, pid] = /^making-(\d+)-/.exec(name) ?? [];
      if (pid !== undefined && !isRunning(Number(pid))) await rm(join(this.directory, name));
    }
    const there = new Set(await readdir(join(this.directory, 'content')));
    const images = join(this.directory, 'images');
    for (const image of await readdir(images).catch(() => [])) {
      for (const ino of await readdir(join(images, image))) {
        const path = join(images, image, ino);
        if (!there.has(await readlink(path).catch(() => ''))) await rm(path, { force: true });
      }
      // Where some are left it stays.
      await rmdir(join(images, image)).catch(() => {});
    }
  }
}

async function write(path: string, size: number, pieces: Pieces) {
  await using file = await open(path, 'wx', PRIVATE);
  const digest = createHash('sha256');
  let length = 0;
  for await (const piece of pieces) {
    digest.update(piece);
    for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten;
    length += piece.length;
  }
  if (length !== size) {
    throw new HostError(
      'HOST_WRONG_CONTENT',
      `Cannot make a file: ${length} of ${size} bytes came`,
    );
  }
  return { sha256: digest.digest('hex'), ino: (await file.stat()).ino };
}

async function digestOf(path: string, pause?: () => Promise<void>) {
  await using file = await open(path, 'r');
  const digest = createHash('sha256');
  const piece = new Uint8Array(PIECE);
  for (let at = 0; ; ) {
    await pause?.();
    const { bytesRead } = await file.read(piece, 0, PIECE, at);
    if (bytesRead === 0) break;
    digest.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
  return { sha256: digest.digest('hex'), stat: await file.stat() };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
