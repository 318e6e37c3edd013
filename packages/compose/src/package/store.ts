import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallOptions } from '@anole/bytes';
import { fileSource, HostError } from '@anole/host';
import { PackageError } from './errors.ts';
import { UnpackPool } from './unpack-pool.ts';
import { readUnpacked, UNPACKED_VERSION, type UnpackedPackage } from './unpacked.ts';

/** A package by its hash, with the means to get its file when the unpacked form is not there yet. */
export interface PackageRequest {
  readonly name: string;
  /** Of the `.deb`: what the unpacked form is kept under. */
  readonly sha256: string;
}

/** Packages open at the same time; close it when the trees over them are no longer read. */
export interface OpenPackages extends AsyncDisposable {
  /** In the order of the request. */
  readonly packages: readonly UnpackedPackage[];
}

/**
 * Unpacked packages in the cache: `<directory>/<version>/ab/cdef…`, by the hash of the package
 * file. The second image made of a package decompresses nothing. Safe with several processes at
 * once: each writes its own file and renames it.
 */
export class PackageStore {
  private readonly directory: string;

  /** @param directory such as `<cache>/unpacked`; made when it is missing. */
  constructor(directory: string) {
    this.directory = join(directory, String(UNPACKED_VERSION));
  }

  pathOf(sha256: string): string {
    return join(this.directory, sha256.slice(0, 2), sha256.slice(2));
  }

  /**
   * Opens the packages; those that are not there yet are fetched and unpacked.
   *
   * @param fetchAll gives the paths of the package files asked for, in their order
   * @throws PackageError and what `fetchAll` throws
   */
  async open<T extends PackageRequest>(
    requests: readonly T[],
    fetchAll: (missing: readonly T[]) => Promise<readonly { readonly path: string }[]>,
    options: CallOptions = {},
  ): Promise<OpenPackages> {
    const opened = new Map<string, UnpackedPackage>();
    const missing: T[] = [];
    try {
      for (const request of requests) {
        const there = await this.find(request.sha256);
        if (there === undefined) missing.push(request);
        else opened.set(request.sha256, there);
      }
      if (missing.length > 0) {
        await this.unpackAll(missing, await fetchAll(missing), options);
        for (const { sha256 } of missing) opened.set(sha256, await this.openNew(sha256));
      }
    } catch (error) {
      await closeAll(opened.values());
      throw error;
    }
    return {
      packages: requests.map(({ sha256 }) => opened.get(sha256)!),
      [Symbol.asyncDispose]: () => closeAll(opened.values()),
    };
  }

  /** The package if it is there, whole. A damaged one is removed, to be made anew. */
  private async find(sha256: string): Promise<UnpackedPackage | undefined> {
    const path = this.pathOf(sha256);
    try {
      return await openUnpacked(path);
    } catch (error) {
      if (error instanceof HostError && error.code === 'HOST_NOT_FOUND') return undefined;
      if (!(error instanceof PackageError)) throw error;
      await rm(path, { force: true });
      return undefined;
    }
  }

  private async openNew(sha256: string): Promise<UnpackedPackage> {
    return openUnpacked(this.pathOf(sha256));
  }

  private async unpackAll(
    requests: readonly PackageRequest[],
    files: readonly { readonly path: string }[],
    { signal, onProgress }: CallOptions,
  ): Promise<void> {
    signal?.throwIfAborted();
    await using pool = new UnpackPool();
    const stop = () => void pool[Symbol.asyncDispose]();
    signal?.addEventListener('abort', stop);
    let done = 0;
    const report = (detail?: string) => {
      const common = {
        step: 'unpack packages',
        done,
        total: requests.length,
        unit: 'items' as const,
      };
      onProgress?.(detail === undefined ? common : { ...common, detail });
    };
    report();
    try {
      const jobs = requests.map(async ({ name, sha256 }, index) => {
        await pool.unpack(files[index]!.path, this.pathOf(sha256));
        done++;
        report(name);
      });
      await Promise.all(jobs);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }
}

async function openUnpacked(path: string): Promise<UnpackedPackage> {
  const file = fileSource(path);
  try {
    return await readUnpacked(file);
  } catch (error) {
    file.close();
    throw error;
  }
}

async function closeAll(packages: Iterable<UnpackedPackage>): Promise<void> {
  for (const { contents } of packages) await contents.close?.();
}
