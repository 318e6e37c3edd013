import { constants, openSync } from 'node:fs';
import type { TreeNode } from '@anole/vfs';
import { DIRECTORY, DirectoryCalls, FILE } from './directory-calls.ts';
import { hostError, systemCode } from './errors.ts';
import { readInto } from './file-source.ts';
import { InodeNumbers } from './host-stat.ts';
import { HostNode } from './host-tree.ts';
import { type Listing, listDirectory } from './listing.ts';
import { IDENTITY_WORDS, StatRows } from './stat-rows.ts';

/** Files of a {@link HostTree} as another thread is told of them, numbered from 0. Plain data. */
export interface FileList {
  /** The directory that the tree is made of. */
  readonly tree: string;
  /** Paths from there, one behind the other, as each file has a name: NUL and `/` are between them. */
  readonly directories: string;
  readonly names: string;
  /** For each file the number of its directory, and what tells it from others. */
  readonly keys: Uint32Array<ArrayBuffer>;
}

const KEY_WORDS = 1 + IDENTITY_WORDS;

/** Gathers a {@link FileList}: of files to read, or of directories to list. */
export class FileListing {
  #tree: string | undefined;
  #directories: string[] = [];
  #names: string[] = [];
  #keys: number[] = [];
  #last: HostNode | undefined;

  get count(): number {
    return this.#names.length;
  }

  /** Takes a file. False where it is no file of this machine, or of another tree than those before. */
  add(node: TreeNode): boolean {
    if (!(node instanceof HostNode) || node.parent === undefined) return false;
    this.#tree ??= node.tree;
    if (node.tree !== this.#tree) return false;
    if (node.parent !== this.#last) {
      this.#last = node.parent;
      this.#directories.push(this.#last.path());
    }
    this.#names.push(node.name);
    this.#keys.push(this.#directories.length - 1, ...node.identity());
    return true;
  }

  /** The list. Begins another one, of the same tree. */
  take(): FileList {
    const list = {
      tree: this.#tree ?? '',
      directories: this.#directories.join('\0'),
      names: this.#names.join('/'),
      keys: Uint32Array.from(this.#keys),
    };
    this.#directories = [];
    this.#names = [];
    this.#keys = [];
    this.#last = undefined;
    return list;
  }
}

/** Reads files of a list. Every component is opened on its own, and no link is followed. */
export class ListedFiles implements Disposable {
  // A thread that is told of files is told of many.
  readonly #calls = new DirectoryCalls(1);
  readonly #opened = new StatRows(1, new InodeNumbers(0));
  #tree = '';
  #directories: readonly string[] = [];
  #names: readonly string[] = [];
  #keys: Uint32Array = new Uint32Array(0);
  #directory: { readonly path: string; readonly fd: number } | undefined;
  #file: { readonly index: number; readonly fd: number } | undefined;

  /** Takes a list: numbers are those of its files from now on. */
  take({ tree, directories, names, keys }: FileList): void {
    if (tree !== this.#tree) this.#close();
    else this.#closeFile();
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
   * gone, or another file has its name.
   *
   * @throws HostError as opening and reading a file raise it
   */
  readInto(index: number, offset: number, target: Uint8Array): number | undefined {
    if (!this.#isOpen(index)) return undefined;
    return readInto(this.#file!.fd, target, offset, () => this.path(index));
  }

  /**
   * What a directory lists, or undefined where that is gone, or another has its name.
   *
   * @throws HostError as opening and listing a directory raise it
   */
  list(index: number): Listing | undefined {
    const isOpen = this.#isOpen(index);
    try {
      return isOpen ? listDirectory(this.#calls, this.#file!.fd) : undefined;
    } catch (error) {
      throw hostError(error, `list ${this.path(index)}`);
    }
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  /** Opens a file; false where it is gone. */
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
    this.#calls.statOpen(this.#opened, fd);
    const wanted = this.#keys.subarray(index * KEY_WORDS + 1, (index + 1) * KEY_WORDS);
    const found = this.#opened.identity(0);
    if (!found.every((word, at) => word === wanted[at])) this.#closeFile();
  }

  /** A descriptor of a directory, valid until the next call. */
  #enter(path: string): number {
    if (this.#directory?.path === path) return this.#directory.fd;
    this.#closeDirectory();
    let fd = openSync(this.#tree, DIRECTORY & ~constants.O_NOFOLLOW);
    for (const name of path === '' ? [] : path.split('/')) {
      const above = fd;
      try {
        fd = this.#calls.open(above, name, DIRECTORY);
      } finally {
        this.#calls.close(above);
      }
    }
    this.#directory = { path, fd };
    return fd;
  }

  #closeFile(): void {
    if (this.#file) this.#calls.close(this.#file.fd);
    this.#file = undefined;
  }

  #closeDirectory(): void {
    if (this.#directory) this.#calls.close(this.#directory.fd);
    this.#directory = undefined;
  }

  #close(): void {
    this.#closeFile();
    this.#closeDirectory();
  }
}

/** What opening meets where a name is another's, or nobody's, by now. */
const goneCodes = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);
