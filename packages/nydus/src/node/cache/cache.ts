import { createHash } from 'node:crypto';
import { utimesSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReadOptions } from '@anole/bytes';
import { acquireLock, HostError, hostError, systemCode } from '@anole/host';
import { CachedBlob } from './blob.ts';
import type { Pace } from './pace.ts';
import { WaitingReaders } from './queue.ts';
import { contentOf, type RemoteBlob } from './remote-blob.ts';
import type { BlobEvents } from './surroundings.ts';

/** Milliseconds from when a blob grows until it is looked whether all fit into the quota. */
const SOON = 1000;
/** Bytes of the disk that are freed at least where it is full. */
const ROOM = 16 * 1024 * 1024;
/** Milliseconds for which nothing is tried where nothing could be freed. */
const VAIN = 5000;

export interface BlobCacheOptions extends BlobEvents {
  /**
   * Bytes of the disk that blobs may take. Those in use are never removed. It holds when blobs are opened, grow and are
   * closed. Default: no bound.
   */
  readonly quota?: number;
  /** Of the link by which blobs come, where it has a bound: what is fetched ahead takes what readers leave of it. */
  readonly pace?: Pace | undefined;
}

export interface OpenBlobOptions extends ReadOptions {
  /** Of the blob's file, from an owner that is gone. It passes to the blob. */
  readonly descriptor?: number;
}

/** A blob that the cache has, or has a part of. */
export interface BlobUsage {
  readonly id: string;
  /** Bytes on the disk. */
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
  /** Whether some process has it open. */
  readonly inUse: boolean;
}

export interface Evicted {
  readonly blobs: readonly string[];
  /** Bytes of the disk that became free. */
  readonly bytes: number;
  /** Bytes that blobs take now. */
  readonly left: number;
}

/**
 * Blobs on their way to this computer, chunk by chunk: a directory for each, shared by processes and
 * by all images that have the blob. Nothing of it is trusted until it is verified, so a crash, a
 * power cut or a rotten disk costs a second fetch and nothing else.
 */
export class BlobCache {
  readonly directory: string;
  /** Bytes of the disk that blobs may take, from the next on that is opened, grows or is closed. */
  quota: number;
  readonly #events: BlobEvents;
  readonly #pace: Pace | undefined;
  readonly #open = new Set<CachedBlob>();
  readonly #readers = new WaitingReaders();
  #soon: NodeJS.Timeout | undefined;
  #freeing: Promise<boolean> | undefined;
  /** Before that nothing can be freed, by the computer's clock of milliseconds. */
  #vainUntil = 0;

  constructor(directory: string, options: BlobCacheOptions = {}) {
    const { quota = Number.POSITIVE_INFINITY, pace, ...events } = options;
    this.directory = directory;
    this.quota = quota;
    this.#events = events;
    this.#pace = pace;
  }

  /** Blobs that are open here. */
  get opened(): ReadonlySet<CachedBlob> {
    return this.#open;
  }

  /**
   * Opens a blob, which stays until it is closed. Before, blobs that nobody uses make room where
   * the quota is passed.
   *
   * @throws HostError
   */
  async open(remote: RemoteBlob, options: OpenBlobOptions = {}): Promise<CachedBlob> {
    const { signal, descriptor } = options;
    const name = nameOf(remote.id);
    const held = { shared: true, ...(signal && { signal }) };
    const lock = await acquireLock(this.#lockPath(name), held);
    try {
      const directory = this.#pathOf(name);
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await writeFile(join(directory, 'id'), remote.id);
      const blob = new CachedBlob(remote, directory, lock, {
        events: this.#events,
        // Who reads for another blob has been counted there, if anybody waits.
        readers: remote.isInner ? new WaitingReaders() : this.#readers,
        pace: this.#pace,
        onGrown: () => this.#checkSoon(),
        freeDisk: (bytes) => this.#freeDisk(bytes),
        onClosing: () => {
          this.#open.delete(blob);
          touch(join(directory, 'id'));
        },
        onClosed: () => this.#check(),
        ...(descriptor !== undefined && { descriptor }),
      });
      this.#open.add(blob);
      await this.#check();
      return blob;
    } catch (error) {
      lock.release();
      throw hostError(error, `open a blob in ${this.directory}`);
    }
  }

  /** What is there, the longest unused first. @throws HostError */
  async list(): Promise<readonly BlobUsage[]> {
    const found: BlobUsage[] = [];
    for (const name of await this.#names()) {
      const usage = await this.#usageOf(name);
      if (usage) found.push(usage);
    }
    return found.sort((a, b) => a.lastUsed - b.lastUsed);
  }

  /**
   * Removes blobs that nobody uses, the longest unused first, until all take `quota` bytes at most. What is of one content,
   * as its data and their hashes, goes together.
   *
   * @throws HostError
   */
  async evict(quota: number): Promise<Evicted> {
    const all = await this.list();
    let left = bytesOf(all);
    const blobs: string[] = [];
    let freed = 0;
    for (const family of families(all)) {
      if (left <= quota) break;
      if (family.some(({ inUse }) => inUse) || !(await this.#remove(family))) continue;
      blobs.push(...family.map(({ id }) => id));
      freed += bytesOf(family);
      left -= bytesOf(family);
    }
    return { blobs, bytes: freed, left };
  }

  /** Makes all fit into the quota. What the disk refuses now is tried again the next time. */
  async #check(): Promise<void> {
    if (this.quota < Number.POSITIVE_INFINITY) await this.evict(this.quota).catch(() => undefined);
  }

  #checkSoon(): void {
    if (this.#soon !== undefined || this.quota === Number.POSITIVE_INFINITY) return;
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      void this.#check();
    }, SOON).unref();
  }

  /** Frees so many bytes of a disk that is full. False where nothing can be. */
  async #freeDisk(bytes: number): Promise<boolean> {
    if (performance.now() < this.#vainUntil) return false;
    this.#freeing ??= this.#free(bytes).finally(() => {
      this.#freeing = undefined;
    });
    return await this.#freeing;
  }

  async #free(wanted: number): Promise<boolean> {
    try {
      const { bytes } = await this.evict(bytesOf(await this.list()) - Math.max(wanted, ROOM));
      if (bytes > 0) return true;
    } catch {
      // It is as if there were nothing.
    }
    this.#vainUntil = performance.now() + VAIN;
    return false;
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await readdir(join(this.directory, 'blobs'));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return [];
      throw hostError(error, `list ${this.directory}`);
    }
  }

  async #usageOf(name: string): Promise<BlobUsage | undefined> {
    const directory = this.#pathOf(name);
    try {
      const id = await readFile(join(directory, 'id'), 'utf8');
      const files = await Promise.all(
        ['data', 'map', 'seals'].map((file) => stat(join(directory, file)).catch(() => undefined)),
      );
      const bytes = files.reduce((sum, file) => sum + (file ? file.blocks * 512 : 0), 0);
      const { mtimeMs } = await stat(join(directory, 'id'));
      return { id, bytes, lastUsed: mtimeMs, inUse: !(await this.#isFree(name)) };
    } catch (error) {
      // Another process removes it, or is about to make it.
      if (systemCode(error) === 'ENOENT') return undefined;
      throw hostError(error, `look at ${directory}`);
    }
  }

  async #isFree(name: string): Promise<boolean> {
    const lock = await this.#tryLock(name);
    lock?.release();
    return lock !== undefined;
  }

  /** Removes blobs, all or none: false where one of them is in use. */
  async #remove(blobs: readonly BlobUsage[]): Promise<boolean> {
    using locks = new DisposableStack();
    const names = blobs.map(({ id }) => nameOf(id));
    for (const name of names) {
      const lock = await this.#tryLock(name);
      if (lock === undefined) return false;
      locks.defer(() => lock.release());
    }
    try {
      for (const name of names) await rm(this.#pathOf(name), { recursive: true, force: true });
      return true;
    } catch (error) {
      throw hostError(error, `remove blobs of ${this.directory}`);
    }
  }

  async #tryLock(name: string) {
    try {
      return await acquireLock(this.#lockPath(name), { patience: 0 });
    } catch (error) {
      if (error instanceof HostError && error.code === 'HOST_LOCKED') return undefined;
      throw error;
    }
  }

  #pathOf(name: string): string {
    return join(this.directory, 'blobs', name);
  }

  /** Beside the directories, which come and go. */
  #lockPath(name: string): string {
    return join(this.directory, 'locks', name);
  }
}

/** Names are not those of the blobs, which come from outside. */
function nameOf(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 40);
}

/** Blobs of one content together, the longest unused first. */
function families(blobs: readonly BlobUsage[]): Iterable<readonly BlobUsage[]> {
  const found = new Map<string, BlobUsage[]>();
  // They come in the order of their use: the last one of a family says when that was.
  for (const blob of blobs) {
    const content = contentOf(blob.id);
    const family = found.get(content) ?? [];
    found.delete(content);
    found.set(content, [...family, blob]);
  }
  return found.values();
}

const bytesOf = (blobs: readonly BlobUsage[]) => blobs.reduce((sum, { bytes }) => sum + bytes, 0);

/** Notes that a blob is in use. Where the disk does not take that, it seems older than it is. */
function touch(path: string): void {
  const now = Date.now() / 1000;
  try {
    utimesSync(path, now, now);
  } catch {
    // It has been removed, or the disk is only read by now.
  }
}
