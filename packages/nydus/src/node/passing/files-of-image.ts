import { readlinkSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pieces } from './contents.ts';
import type { WholeFiles } from './whole-files.ts';

const SHA256 = /^[0-9a-f]{64}$/;

/** The files of one image. */
export class FilesOfImage {
  readonly #files: WholeFiles;
  readonly #directory: string;
  /** By the inodes' numbers; null where there is none. */
  readonly #names = new Map<number, string | null>();

  constructor(files: WholeFiles, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  /** What is known of a file. */
  state(ino: number): 'none' | 'unproven' | 'proven' {
    const sha256 = this.#nameOf(ino);
    if (sha256 === null) return 'none';
    return this.#files.isProven(sha256) ? 'proven' : 'unproven';
  }

  /** Opens the file of an inode where it is proven. The caller closes it. */
  open(ino: number, size: number): number | undefined {
    const sha256 = this.#nameOf(ino);
    if (sha256 === null) return undefined;
    const fd = this.#files.openProven(sha256, size);
    if (fd === undefined && !this.#files.isProven(sha256)) this.#names.delete(ino);
    return fd;
  }

  /** Proves the file of an inode. What is wrong, or gone, is no more its file. @throws as `WholeFiles.prove` */
  async prove(ino: number, size: number, pause?: () => Promise<void>): Promise<void> {
    const sha256 = this.#nameOf(ino);
    if (sha256 === null || (await this.#files.prove(sha256, size, pause))) return;
    this.#names.set(ino, null);
    rmSync(this.#pathOf(ino), { force: true });
  }

  /** @throws as `WholeFiles.make` */
  async make(ino: number, size: number, pieces: Pieces): Promise<boolean> {
    const sha256 = await this.#files.make(size, pieces);
    if (sha256 === undefined) return false;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await this.#files.link(sha256, this.#pathOf(ino));
    this.#names.set(ino, sha256);
    return true;
  }

  #nameOf(ino: number): string | null {
    let name = this.#names.get(ino);
    if (name === undefined) {
      name = readName(this.#pathOf(ino));
      this.#names.set(ino, name);
    }
    return name;
  }

  #pathOf(ino: number): string {
    return join(this.#directory, String(ino));
  }
}

function readName(path: string): string | null {
  try {
    const name = readlinkSync(path);
    return SHA256.test(name) ? name : null;
  } catch {
    return null;
  }
}
