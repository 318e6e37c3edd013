import { isPromise } from '@anole/bytes';
import type { ErofsNode, ErofsTree } from '@anole/erofs/reader';
import { FileMaker } from '@anole/host/in-thread';
import { type DirectoryEntry, type FileType, VfsError } from '@anole/vfs';

/** Directories of an image whose files are to be made. Plain data. */
export interface UnpackJob {
  /** Paths, with NUL between them. */
  readonly directories: string;
  /** For each its inode, which part of its files is meant, and of how many. */
  readonly numbers: Float64Array<ArrayBuffer>;
}

/** Of them, for each directory. */
const JOB_NUMBERS = 3;

/** What came of a job. Plain data. */
export interface UnpackDone {
  /** Files made. */
  readonly entries: number;
  /** Paths of those that were left, with NUL between them, and their inodes. */
  readonly left: string;
  readonly leftNumbers: readonly number[];
}

export interface UnpackWork {
  readonly base: string;
  readonly owners: boolean;
  /** Whether files with attributes are left, to who sets them. */
  readonly xattrs: boolean;
  /** Counts the bytes that all threads have written. */
  readonly written: BigInt64Array<SharedArrayBuffer>;
}

const onlyFiles: ReadonlySet<FileType> = new Set(['file']);
const isFile = ({ type }: DirectoryEntry) => type === 'file';

/** Makes files of directories of an image: those that have one name and, where that counts, no attributes. */
export class UnpackFiles implements Disposable {
  readonly #tree: ErofsTree;
  readonly #work: UnpackWork;
  readonly #maker: FileMaker;
  #counted = 0;
  /** Of the directory that was listed last: its parts come one after another. */
  #last: { readonly nid: number; readonly files: readonly DirectoryEntry[] } | undefined;
  #left: { readonly paths: string[]; readonly numbers: number[] } = { paths: [], numbers: [] };

  readonly #turn: () => Promise<void> | undefined;

  /** @param turn is asked between files and pieces of large ones for what to wait for; it may raise what ends the work */
  constructor(
    tree: ErofsTree,
    work: UnpackWork,
    turn: () => Promise<void> | undefined = () => undefined,
  ) {
    this.#tree = tree;
    this.#work = work;
    this.#turn = turn;
    this.#maker = new FileMaker(work.base, { owners: work.owners });
  }

  /** @throws HostError, and what reading the tree does */
  async run({ directories, numbers }: UnpackJob): Promise<UnpackDone> {
    this.#left = { paths: [], numbers: [] };
    let entries = 0;
    for (const [index, directory] of directories.split('\0').entries()) {
      const [nid, part, parts] = numbers.subarray(index * JOB_NUMBERS) as Iterable<number>;
      const files = await this.#filesOf(nid!);
      const placeOf = (at: number) => Math.floor((files.length * at) / parts!);
      entries += await this.#make(directory, files, placeOf(part!), placeOf(part! + 1));
      this.#count();
    }
    this.#maker.release();
    return { entries, left: this.#left.paths.join('\0'), leftNumbers: this.#left.numbers };
  }

  [Symbol.dispose](): void {
    this.#maker.release();
  }

  async #filesOf(nid: number): Promise<readonly DirectoryEntry[]> {
    if (this.#last?.nid === nid) return this.#last.files;
    const directory = await this.#tree.node(nid);
    const listed = directory.list(onlyFiles);
    const files = (isPromise(listed) ? await listed : listed).filter(isFile);
    this.#last = { nid, files };
    return files;
  }

  /** Gives how many of the files were made. */
  async #make(
    directory: string,
    files: readonly DirectoryEntry[],
    from: number,
    end: number,
  ): Promise<number> {
    let made = 0;
    for (let at = from; at < end; at++) {
      const { name, ino } = files[at]!;
      const path = directory === '' ? name : `${directory}/${name}`;
      // Awaiting what is there costs, too.
      const found = this.#tree.byIno(ino);
      const node = isPromise(found) ? await found : found;
      if (this.#isLeft(path, node)) {
        this.#left.paths.push(path);
        this.#left.numbers.push(node.nid);
        continue;
      }
      const making = this.#maker.make(path, node, false);
      if (making) for await (const _ of making) await this.#pass();
      const turned = this.#turn();
      if (turned) await turned;
      made++;
    }
    return made;
  }

  /** Whether more must be known of what a directory calls a file than what it holds. */
  #isLeft(path: string, node: ErofsNode): boolean {
    const { type, nlink } = node.stat;
    if (type === 'directory') {
      const message = `Cannot unpack ${path}: it is a directory that is listed as a file`;
      throw new VfsError('VFS_IS_DIRECTORY', message, { details: { nid: node.nid } });
    }
    if (type !== 'file' || nlink > 1) return true;
    if (!this.#work.xattrs) return false;
    const xattrs = node.xattrs();
    if (!isPromise(xattrs)) return xattrs.size > 0;
    // Where they come later, they are asked for again, by who can wait.
    xattrs.catch(() => undefined);
    return true;
  }

  async #pass(): Promise<void> {
    this.#count();
    await this.#turn();
  }

  #count(): void {
    const { bytes } = this.#maker;
    if (bytes === this.#counted) return;
    Atomics.add(this.#work.written, 0, BigInt(bytes - this.#counted));
    this.#counted = bytes;
  }
}
