import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Source } from '@anole/bytes';
import { type FileSource, fileSource, hostError } from '@anole/host';
import { SELF_ID } from '../layout/blob.ts';
import type { BlobSink } from '../writer/blob-output.ts';

/** Blobs as files that have their names. Those that have been asked for stay open until it is disposed of. */
export class BlobFiles implements Disposable {
  readonly #directories: readonly string[];
  readonly #open = new Map<string, FileSource>();

  /** @param directories where blobs are looked for, one after another */
  constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  /** Where a blob is; undefined where it is in none of the directories. */
  find(id: string): string | undefined {
    if (id === SELF_ID || id === '') return undefined;
    const paths = this.#directories.map((directory) => join(directory, id));
    return paths.find((path) => existsSync(path));
  }

  /** A resolver for `openRafs`. */
  readonly resolve = (id: string): Source | undefined => {
    const known = this.#open.get(id);
    if (known !== undefined) return known;
    const path = this.find(id);
    if (path === undefined) return undefined;
    const source = fileSource(path);
    this.#open.set(id, source);
    return source;
  };

  [Symbol.dispose](): void {
    for (const source of this.#open.values()) source.close();
    this.#open.clear();
  }
}

/**
 * Writes a blob into a directory, under the name that it turns out to have. It appears whole or not at
 * all, and not where `write` gives no name.
 *
 * @throws HostError; what `write` raises
 */
export async function createBlobFile<
  T extends { readonly blob: { readonly id: string } | undefined },
>(directory: string, write: (sink: BlobSink) => Promise<T>): Promise<T> {
  const temporary = join(directory, `.blob.${randomBytes(6).toString('hex')}`);
  try {
    await mkdir(directory, { recursive: true });
    const file = await open(temporary, 'wx');
    let written: T;
    try {
      written = await write({ write: (bytes) => file.writeFile(bytes) });
    } finally {
      await file.close();
    }
    if (written.blob) await rename(temporary, join(directory, written.blob.id));
    else await rm(temporary);
    return written;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw hostError(error, `write a blob into ${directory}`);
  }
}
