import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReadOptions } from '@anole/bytes';
import { acquireLock, HostError, hostError, systemCode } from '@anole/host';
import { CachedBlob } from './blob.ts';
import type { BlobEvents, RemoteBlob } from './remote-blob.ts';

export interface BlobCacheOptions extends BlobEvents {
  /** Bytes of the disk that blobs may take. Those in use are never removed. Default: no bound. */
  readonly quota?: number;
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
  /** Bytes of the disk that blobs may take, for the next that is opened. */
  quota: number;
  readonly #events: BlobEvents;
  readonly #open = new Set<CachedBlob>();

  constructor(directory: string, options: BlobCacheOptions = {}) {
    const { quota = Number.POSITIVE_INFINITY, ...events } = options;
    this.directory = directory;
    this.quota = quota;
    this.#events = events;
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
      await mkdir(directory, { recursive: true });
      await writeFile(join(directory, 'id'), remote.id);
      const blob = new CachedBlob(remote, directory, lock, {
        events: this.#events,
        onClosed: () => this.#open.delete(blob),
        ...(descriptor !== undefined && { descriptor }),
      });
      this.#open.add(blob);
      if (this.quota < Number.POSITIVE_INFINITY) await this.evict(this.quota);
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
   * Removes blobs that nobody uses, the longest unused first, until all take `quota` bytes at most.
   *
   * @throws HostError
   */
  async evict(quota: number): Promise<Evicted> {
    const all = await this.list();
    let left = all.reduce((sum, { bytes }) => sum + bytes, 0);
    const blobs: string[] = [];
    let freed = 0;
    for (const { id, bytes, inUse } of all) {
      if (left <= quota) break;
      if (inUse || !(await this.#remove(nameOf(id)))) continue;
      blobs.push(id);
      freed += bytes;
      left -= bytes;
    }
    return { blobs, bytes: freed, left };
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

  async #remove(name: string): Promise<boolean> {
    const lock = await this.#tryLock(name);
    if (lock === undefined) return false;
    try {
      await rm(this.#pathOf(name), { recursive: true, force: true });
      return true;
    } catch (error) {
      throw hostError(error, `remove ${this.#pathOf(name)}`);
    } finally {
      lock.release();
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
