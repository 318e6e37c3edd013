import { constants } from 'node:fs';
import type { FileType } from '@anole/vfs';
import { Descriptors } from './descriptors.ts';
import { DIRECTORY, DirectoryCalls, FILE } from './directory-calls.ts';
import { hostError, systemCode } from './errors.ts';
import { readInto } from './file-source.ts';
import { InodeNumbers } from './host-stat.ts';
import { type Listing, listDirectory } from './listing.ts';
import { StatRows, VERSION_WORDS } from './stat-rows.ts';

/** Files of a {@link HostTree} as another thread is told of them, numbered from 0. Plain data. */
export interface FileList {
  /** The directory that the tree is made of. */
  readonly tree: string;
  /** Paths from there, one behind the other, as each file has a name: NUL and `/` are between them. */
  readonly directories: string;
  readonly names: string;
  /** For each file the number of its directory, and its version: what tells it from others, and from itself. */
  readonly keys: Uint32Array<ArrayBuffer>;
}

/** Of `keys` for each file. */
export const KEY_WORDS = 1 + VERSION_WORDS;

/** Directories that are kept open: files of a list are in few, or in many of one tree in turn. */
const DIRECTORIES = 32;

/** Reads files of a list. Every component is opened on its own, and no link is followed. */
export class ListedFiles implements Disposable {
  // A thread that is told of files is told of many.
  readonly #calls = new DirectoryCalls(1);
  readonly #opened = new StatRows(1, new InodeNumbers(0));
  #tree = '';
  #directories: readonly string[] = [];
  #names: readonly string[] = [];
  #keys: Uint32Array = new Uint32Array(0);
  /** By their paths. */
  readonly #entered = new Descriptors<string>(DIRECTORIES, (fd) => this.#calls.close(fd));
  #file: { readonly index: number; readonly fd: number } | undefined;

  /** Takes a list: numbers are those of its files from now on. */
  take({ tree, directories, names, keys }: FileList): void {
    this.release();
    this.#tree = tree;
    this.#directories = directories.split('\0');
    this.#names = names.split('/');
    this.#keys = keys;
  }

  get count(): number {
    return this.#keys.length / KEY_WORDS;
  }

  /** With a leading slash. */
  path(index: number): string {
    const directory = this.#directoryOf(index);
    return `/${directory}${directory && '/'}${this.#names[index]}`;
  }

  /**
   * Fills `target` from byte `offset` of a file. Gives how many bytes there were, or undefined where it is
   * gone, another file has its name, or it was written to since it was listed.
   *
   * @throws HostError as opening and reading a file raise it
   */
  readInto(index: number, offset: number, target: Uint8Array): number | undefined {
    if (!this.#isOpen(index)) return undefined;
    try {
      const count = readInto(this.#file!.fd, target, offset, () => this.path(index));
      // Behind reading: so what was read until now is what was listed.
      return this.#isListed(index) ? count : undefined;
    } catch (error) {
      if (!this.#isListed(index)) return undefined;
      throw error;
    }
  }

  /** Whether the open file is the listed one, and was not written to since. */
  #isListed(index: number): boolean {
    this.#calls.statOpen(this.#opened, this.#file!.fd);
    return this.#opened.isVersion(0, this.#keys, index * KEY_WORDS + 1);
  }

  /**
   * What a directory lists, or undefined where that is gone, or another has its name.
   *
   * @throws HostError as opening and listing a directory raise it
   */
  list(index: number): Listing | undefined {
    if (!this.#isOpen(index)) return undefined;
    try {
      return listDirectory(this.#calls, this.#file!.fd);
    } catch (error) {
      throw hostError(error, `list ${this.path(index)}`);
    }
  }

  /** Closes what is open of the list: to be called when it is done with. */
  release(): void {
    this.#closeFile();
    this.#entered.closeAll();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** Opens a file; false where it is gone, or another has its name. */
  #isOpen(index: number): boolean {
    try {
      if (this.#file?.index !== index) this.#open(index);
      return this.#file !== undefined;
    } catch (error) {
      if (goneCodes.has(systemCode(error) ?? '')) return false;
      throw hostError(error, `open ${this.path(index)}`);
    }
  }

  #directoryOf(index: number): string {
    return this.#directories[this.#keys[index * KEY_WORDS]!]!;
  }

  #open(index: number): void {
    this.#closeFile();
    const directory = this.#enter(this.#directoryOf(index));
    const fd = this.#calls.open(directory, this.#names[index]!, FILE);
    this.#file = { index, fd };
    // Before anything is read: of a pipe or a device that would take what is another's. One of those may have been
    // given the number of a file that is gone.
    this.#calls.statOpen(this.#opened, fd);
    const isFile = readable.has(this.#opened.type(0));
    if (!isFile || !this.#opened.isOf(0, this.#keys, index * KEY_WORDS + 1)) this.#closeFile();
  }

  /** A descriptor of a directory, valid until the next call. */
  #enter(path: string): number {
    return this.#entered.of(path, () => {
      if (path === '') return this.#calls.openPath(this.#tree, DIRECTORY & ~constants.O_NOFOLLOW);
      const slash = path.lastIndexOf('/');
      const above = this.#enter(path.slice(0, Math.max(slash, 0)));
      return this.#calls.open(above, path.slice(slash + 1), DIRECTORY);
    });
  }

  #closeFile(): void {
    if (this.#file) this.#calls.close(this.#file.fd);
    this.#file = undefined;
  }
}

/** What can be in a list. */
const readable: ReadonlySet<FileType> = new Set(['file', 'directory']);

/** What opening meets where a name is another's, or nobody's, by now. */
const goneCodes = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);
