import { hash, randomUUID } from 'node:crypto';
import { closeSync, fstatSync, mkdirSync, openSync, type Stats, utimesSync } from 'node:fs';
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
  symlink,
} from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '@anole/host';
import { digestOf, type Pieces, write } from './contents.ts';
import { FilesOfImage } from './files-of-image.ts';

/**
 * What was made by rules under which it may be wrong, or is called otherwise, is of another version. 2: files are made of
 * what is proven at each read; those before prove by their own names what may have been made of a disk that had rotted.
 */
const VERSION = 2;
/** Bytes of all files together. */
const MOST = 1024 * 1024 * 1024;
/** Part of the disk that is left to others. */
const RESERVE = 1 / 20;
const PRIVATE = 0o600;
/** Milliseconds since the last write after which nobody is taken to make a file any more. */
const STALE = 60 * 60 * 1000;

/**
 * Files of images, whole and decoded, on this computer: for a kernel that reads them in the place of a mount's. They
 * are named by the SHA-256 of what they have, so images share them, and mounts what the kernel keeps of them in memory:
 *
 *     content/SHA256         a file, or what is left of one where a disk or a power cut lost it
 *     used/SHA256            an empty file, of the time at which that one was made, or opened last
 *     images/IMAGE/INO       a symbolic link, whose target is that name
 *     making-UUID            a file that is being made
 *
 * Each process proves a file before its first use, and again once somebody changed it. The longest unused make room.
 * Several processes may use one directory: what one removes stays with who has it open.
 */
export class WholeFiles {
  readonly directory: string;
  readonly #most: number;
  /** What proven files were, by their SHA-256. */
  readonly #proven = new Map<string, string>();
  #swept: Promise<void> | undefined;

  /** @param most bytes of the disk */
  constructor(directory: string, most: number = MOST) {
    this.directory = directory;
    this.#most = most;
  }

  /** Those of a cache. */
  static of(cache: string): WholeFiles {
    return new WholeFiles(join(cache, `whole-${VERSION}`));
  }

  /**
   * Removes what earlier versions made for a cache. Who still has such a file open has it on; a program of before that
   * runs yet makes its files again.
   *
   * @throws the disk; what is left is removed the next time
   */
  static async dropFormer(cache: string): Promise<void> {
    for (const name of await namesIn(cache)) {
      const found = /^whole(?:-(\d{1,9}))?$/.exec(name);
      if (found === null || Number(found[1] ?? 1) >= VERSION) continue;
      await rm(join(cache, name), { recursive: true, force: true });
    }
  }

  /** @param digest names all bytes of an image */
  ofImage(digest: string): FilesOfImage {
    const name = hash('sha256', digest).slice(0, 40);
    return new FilesOfImage(this, join(this.directory, 'images', name));
  }

  /** Calls with an empty file as those that are made. @throws what that raises, and the disk */
  async tryOne(use: (fd: number) => void): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const { path, file } = await this.#begin();
    try {
      use(file.fd);
    } finally {
      await this.#end(path, file);
    }
  }

  /** Opens a file that is proven, to be closed by the caller. */
  openProven(sha256: string, size: number): number | undefined {
    const state = this.#proven.get(sha256);
    if (state === undefined) return undefined;
    let fd: number | undefined;
    try {
      fd = openSync(this.#pathOf(sha256), 'r');
      const found = fstatSync(fd);
      if (found.size === size && stateOf(found) === state) {
        this.#use(sha256);
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

  /**
   * Reads a file that another process has made, or an earlier one. What is wrong is removed.
   *
   * @throws what `pause` raises, and the disk; then nothing is known of the file, and it stays
   */
  async prove(sha256: string, size: number, pause?: () => Promise<void>): Promise<boolean> {
    const path = this.#pathOf(sha256);
    const found = await digestOf(path, pause);
    if (found === undefined) return false;
    if (found.sha256 !== sha256) await rm(path, { force: true });
    if (found.sha256 !== sha256 || found.stat.size !== size) return false;
    this.#proven.set(sha256, stateOf(found.stat));
    return true;
  }

  /**
   * Makes a file of what `pieces` give, which are right.
   *
   * @returns its SHA-256; undefined where there is no room
   * @throws what `pieces` and the disk raise; then nothing is left
   */
  async make(size: number, pieces: Pieces): Promise<string | undefined> {
    await mkdir(join(this.directory, 'content'), { recursive: true, mode: 0o700 });
    await this.#sweepOnce();
    if (!(await this.#makeRoom(size))) return undefined;
    const { path, file } = await this.#begin();
    try {
      const sha256 = await write(file, size, pieces);
      // Who has the one that is there shares its memory.
      if (this.isProven(sha256) || (await this.prove(sha256, size).catch(() => false)))
        return sha256;
      await rename(path, this.#pathOf(sha256));
      this.#proven.set(sha256, stateOf(await file.stat()));
      this.#use(sha256);
      return sha256;
    } finally {
      await this.#end(path, file);
    }
  }

  /** Makes a symbolic link, in the place of what is there. @throws the disk */
  async link(target: string, path: string): Promise<void> {
    const made = this.#newPath();
    await symlink(target, made);
    try {
      await rename(made, path);
    } finally {
      await rm(made, { force: true }).catch(() => {});
    }
  }

  /** Bytes of the disk that all take. */
  async bytes(): Promise<number> {
    return sum(await this.#list());
  }

  /**
   * Removes the longest unused until all take `most` bytes at most.
   *
   * @returns bytes of the disk that became free, where nobody has them any more
   */
  async evict(most: number): Promise<number> {
    const all = await this.#list();
    const before = sum(all);
    let taken = before;
    for (const { sha256, bytes } of all) {
      if (taken <= most) break;
      await rm(this.#pathOf(sha256), { force: true });
      await rm(this.#useOf(sha256), { force: true });
      this.#proven.delete(sha256);
      taken -= bytes;
    }
    return before - taken;
  }

  #pathOf(sha256: string): string {
    return join(this.directory, 'content', sha256);
  }

  #useOf(sha256: string): string {
    return join(this.directory, 'used', sha256);
  }

  /** Notes that a file is used now. Its own times are left alone: they say whether it was changed. */
  #use(sha256: string): void {
    const path = this.#useOf(sha256);
    const now = Date.now() / 1000;
    try {
      utimesSync(path, now, now);
    } catch {
      try {
        mkdirSync(join(this.directory, 'used'), { recursive: true });
        closeSync(openSync(path, 'w', PRIVATE));
      } catch {
        // The disk is full: it makes room as if it had not been used.
      }
    }
  }

  /** What nobody else has, whoever shares the directory. */
  #newPath(): string {
    return join(this.directory, `making-${randomUUID()}`);
  }

  async #begin(): Promise<{ path: string; file: FileHandle }> {
    const path = this.#newPath();
    return { path, file: await open(path, 'wx', PRIVATE) };
  }

  async #end(path: string, file: FileHandle): Promise<void> {
    await file.close();
    await rm(path, { force: true }).catch(() => {});
  }

  /** Removes the longest unused until there is room. False: the file is too large, or the disk too full. */
  async #makeRoom(size: number): Promise<boolean> {
    if (size > this.#most / 2) return false;
    await this.evict(this.#most - size);
    const { bavail, blocks, bsize } = await statfs(this.directory);
    return bavail * bsize - size >= blocks * bsize * RESERVE;
  }

  /** What is there, the longest unused first. */
  async #list(): Promise<readonly Kept[]> {
    const names = await namesIn(join(this.directory, 'content'));
    const found = await Promise.all(
      names.map(async (sha256) => {
        const at = await stat(this.#pathOf(sha256)).catch(() => undefined);
        const use = await stat(this.#useOf(sha256)).catch(() => undefined);
        return { sha256, bytes: (at?.blocks ?? 0) * 512, used: (use ?? at)?.mtimeMs ?? 0 };
      }),
    );
    return found.sort((a, b) => a.used - b.used);
  }

  /** In vain it is tried again. */
  #sweepOnce(): Promise<void> {
    this.#swept ??= this.#sweep().catch((error: unknown) => {
      this.#swept = undefined;
      throw error;
    });
    return this.#swept;
  }

  /** Removes what killed processes were making, and names of files that are gone. */
  async #sweep(): Promise<void> {
    for (const name of await namesIn(this.directory)) {
      const path = join(this.directory, name);
      if (name.startsWith('making-') && (await isStale(path))) await rm(path, { force: true });
    }
    const there = new Set(await namesIn(join(this.directory, 'content')));
    for (const sha256 of await namesIn(join(this.directory, 'used')))
      if (!there.has(sha256)) await rm(this.#useOf(sha256), { force: true });
    const images = join(this.directory, 'images');
    for (const image of await namesIn(images)) {
      for (const ino of await namesIn(join(images, image))) {
        const path = join(images, image, ino);
        if (!there.has(await readlink(path).catch(() => ''))) await rm(path, { force: true });
      }
      // Where some are left it stays.
      await rmdir(join(images, image)).catch(() => {});
    }
  }
}

interface Kept {
  readonly sha256: string;
  /** Of the disk. */
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly used: number;
}

/** Differs once somebody wrote to a file, or put another in its place. */
const stateOf = ({ ino, size, mtimeMs, ctimeMs }: Stats) => [ino, size, mtimeMs, ctimeMs].join(' ');

const sum = (all: readonly Kept[]) => all.reduce((total, { bytes }) => total + bytes, 0);

/** What is in a directory; nothing where it is not there. */
async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

async function isStale(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > STALE;
}
