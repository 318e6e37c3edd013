import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HostError, hostError, systemCode } from './errors.ts';
import { withLock } from './lock.ts';
import { makeDirectories } from './make-directories.ts';

export interface InsertOptions {
  /** Bytes of the content where known: more are refused as they come. */
  readonly size?: number;
  readonly signal?: AbortSignal;
}

/** Content on its way into the store. */
export interface PartialContent {
  /** Bytes that are there: those of an earlier, broken attempt at first. */
  readonly length: number;
  /** Appends. @throws HostError `HOST_WRONG_CONTENT` beyond the promised size. */
  write(bytes: Uint8Array): Promise<void>;
  /** Drops all that is there. */
  restart(): Promise<void>;
}

const hexadecimal = /^[0-9a-f]{64}$/;

/**
 * Files named by the SHA-256 of their content: `<directory>/sha256/ab/cdef…`. Processes may use one
 * directory at once. Content appears whole and checked or not at all; what broke off is kept in
 * `partial/` and continued by the next attempt.
 *
 * Files are not synced to the disk: after a power cut a file may be short, which {@link find} with
 * a size detects.
 */
export class ContentStore {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Where content with this hash is, or would be. */
  pathOf(sha256: string): string {
    if (!hexadecimal.test(sha256)) {
      throw new HostError('HOST_WRONG_CONTENT', `Cannot look up content: ${sha256} is no SHA-256`);
    }
    return join(this.directory, 'sha256', sha256.slice(0, 2), sha256.slice(2));
  }

  /** The path of content that is there, of that size where given; else undefined. */
  async find(sha256: string, size?: number): Promise<string | undefined> {
    const path = this.pathOf(sha256);
    try {
      const found = await stat(path);
      return size === undefined || found.size === size ? path : undefined;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw hostError(error, `look up ${path}`);
    }
  }

  /**
   * The path of the content; `fill` is called to complete it where it is not there. Of several
   * processes that insert the same content, one fills and the others wait for it.
   *
   * @throws HostError `HOST_WRONG_CONTENT` (the partial content is dropped), `HOST_NO_SPACE`
   * (likewise); what `fill` throws (partial content is kept).
   */
  async insert(
    sha256: string,
    fill: (partial: PartialContent) => Promise<void>,
    options: InsertOptions = {},
  ): Promise<string> {
    const found = await this.find(sha256, options.size);
    if (found !== undefined) return found;
    const lock = join(this.directory, 'locks', sha256.slice(0, 3));
    const work = async () => {
      const inserted = await this.find(sha256, options.size);
      return inserted ?? (await this.#fill(sha256, fill, options.size));
    };
    return withLock(lock, work, options.signal ? { signal: options.signal } : {});
  }

  async #fill(
    sha256: string,
    fill: (partial: PartialContent) => Promise<void>,
    size: number | undefined,
  ): Promise<string> {
    const temporary = join(this.directory, 'partial', sha256);
    const path = this.pathOf(sha256);
    try {
      await makeDirectories(dirname(temporary));
      await using partial = await Partial.open(temporary, size);
      await fill(partial);
      partial.check(sha256);
      await makeDirectories(dirname(path));
      await rename(temporary, path);
      return path;
    } catch (error) {
      const coded = hostError(error, `store content ${sha256}`);
      if (coded instanceof HostError) await rm(temporary, { force: true }).catch(() => {});
      throw coded;
    }
  }
}

const pieceSize = 1 << 20;

class Partial implements PartialContent, AsyncDisposable {
  length = 0;
  readonly #file: FileHandle;
  readonly #size: number | undefined;
  #hash: Hash = createHash('sha256');

  private constructor(file: FileHandle, size: number | undefined) {
    this.#file = file;
    this.#size = size;
  }

  /** Opens the file, made if missing, and hashes what it holds. */
  static async open(path: string, size: number | undefined): Promise<Partial> {
    const partial = new Partial(await open(path, 'a+'), size);
    try {
      await partial.#readBack();
    } catch (error) {
      await partial[Symbol.asyncDispose]();
      throw error;
    }
    return partial;
  }

  async #readBack(): Promise<void> {
    const { size } = await this.#file.stat();
    if (this.#size !== undefined && size > this.#size) return this.restart();
    const piece = new Uint8Array(Math.min(pieceSize, size));
    while (this.length < size) {
      const { bytesRead } = await this.#file.read(piece, 0, piece.length, this.length);
      if (bytesRead === 0) break;
      this.#hash.update(piece.subarray(0, bytesRead));
      this.length += bytesRead;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    const length = this.length + bytes.length;
    if (this.#size !== undefined && length > this.#size) {
      throw wrongContent(`more than its ${this.#size} bytes came`);
    }
    const writing = this.#file.write(bytes);
    // Meanwhile: another thread writes.
    this.#hash.update(bytes);
    for (let at = (await writing).bytesWritten; at < bytes.length; ) {
      at += (await this.#file.write(bytes, at)).bytesWritten;
    }
    this.length = length;
  }

  async restart(): Promise<void> {
    await this.#file.truncate(0);
    this.#hash = createHash('sha256');
    this.length = 0;
  }

  check(sha256: string): void {
    if (this.#size !== undefined && this.length !== this.#size) {
      throw wrongContent(`${this.length} of its ${this.#size} bytes came`);
    }
    const met = this.#hash.digest('hex');
    if (met !== sha256) throw wrongContent(`it has the SHA-256 ${met} instead of ${sha256}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

function wrongContent(why: string): HostError {
  return new HostError('HOST_WRONG_CONTENT', `Cannot accept content: ${why}`);
}
