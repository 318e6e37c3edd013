import { hash } from 'node:crypto';
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@anole/host';
import type { Documents, NamedDocument } from '../registry/documents.ts';

/** Larger ones are asked for each time. Bytes. */
const LARGEST = 256 * 1024;
/** Files at most; the longest unused go. */
const MOST = 512;

/**
 * Documents in a directory, a file for each, which several processes use at once. It stays small by itself. A disk that
 * fails or is full makes nothing fail: then all is asked for again.
 */
export class KeptDocuments implements Documents {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async get(digest: string): Promise<Uint8Array | undefined> {
    return await read(this.#pathOf(digest));
  }

  async put(digest: string, bytes: Uint8Array): Promise<void> {
    if (bytes.length <= LARGEST) await this.#write(digest, bytes);
  }

  async named(name: string): Promise<NamedDocument | undefined> {
    const note = await read(this.#pathOf(name));
    try {
      const { digest, mediaType } = JSON.parse(Buffer.from(note ?? []).toString());
      if (typeof digest === 'string' && typeof mediaType === 'string') return { digest, mediaType };
    } catch {
      // It is no note, or not whole.
    }
    return undefined;
  }

  async note(name: string, { digest, mediaType }: NamedDocument): Promise<void> {
    await this.#write(name, JSON.stringify({ digest, mediaType }));
  }

  /** Names come from outside, and may be anything. */
  #pathOf(name: string): string {
    return join(this.#directory, hash('sha256', name, 'hex'));
  }

  async #write(name: string, content: Uint8Array | string): Promise<void> {
    try {
      await writeFileAtomically(this.#pathOf(name), content);
      await this.#makeRoom();
    } catch {
      // It will be asked for again.
    }
  }

  async #makeRoom(): Promise<void> {
    const names = await readdir(this.#directory);
    if (names.length <= MOST) return;
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#directory, name);
        return { path, used: (await stat(path).catch(() => undefined))?.mtimeMs ?? 0 };
      }),
    );
    files.sort((a, b) => a.used - b.used);
    // Half of them at once, so that this is seldom.
    for (const { path } of files.slice(0, files.length - MOST / 2)) await rm(path, { force: true });
  }
}

async function read(path: string): Promise<Uint8Array | undefined> {
  try {
    const content = await readFile(path);
    const now = new Date();
    await utimes(path, now, now).catch(() => {});
    return content;
  } catch {
    return undefined;
  }
}
