import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  unlinkSync,
} from 'node:fs';
import { threadId } from 'node:worker_threads';
import { type Awaitable, encodeName, isPromise } from '@anole/bytes';
import { type Extent, type Stat, type TreeNode, VfsError } from '@anole/vfs';
import { Descriptors } from './descriptors.ts';
import { DIRECTORY, DirectoryCalls } from './directory-calls.ts';
import { setTimes } from './set-times.ts';
import { writeAt } from './write-at.ts';

/** Names that are no UTF-8 are bytes. */
export type Path = string | Buffer;

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** The mode of files until they are whole. */
const PRIVATE = 0o600;
/** Bytes of a file copied at once. */
const CHUNK = 1024 * 1024;
/** Directories that are kept open: names come by directories, and go back to those above. */
const DIRECTORIES = 32;

export interface FileMakerOptions {
  /** Whether files get the owners of their nodes. */
  readonly owners: boolean;
  /** Waits for each until its data is on the disk. */
  readonly durable?: boolean;
}

/**
 * Makes files of a tree below `base`, a directory that only the user can enter. Their directories were made before, so
 * no path leads through a symbolic link.
 */
export class FileMaker implements Disposable {
  /** Written so far, holes left out. */
  bytes = 0;
  readonly #base: string;
  readonly #options: FileMakerOptions;
  readonly #born: Born;
  // Times need native calls anyway, to be exact.
  readonly #calls = new DirectoryCalls(1);
  /** Opened by Node, which closes them where a thread is ended. */
  readonly #directories = new Descriptors<string>(DIRECTORIES);
  /** The directory of the file before, as its path begins: the next is mostly there, too. */
  #above = '';
  #answersAtOnce = true;
  #memory: Uint8Array | undefined;

  constructor(base: string, options: FileMakerOptions) {
    this.#base = base;
    this.#options = options;
    this.#born = bornIn(base);
  }

  /**
   * Makes a file. Gives the copying of its contents where there is something to wait for, or much of it.
   *
   * @param isLate leaves the mode to who sets attributes first: those can be set only while the user may write
   */
  make(path: string, node: TreeNode, isLate: boolean): AsyncIterable<number> | undefined {
    if (this.#answersAtOnce && this.#small(path, node, isLate)) return undefined;
    return this.#large(path, node, isLate);
  }

  /** Whether what is made belongs to whom it shall. */
  isBornTo({ uid, gid }: Stat): boolean {
    return uid === this.#born.uid && gid === this.#born.gid;
  }

  /** Closes directories that are still open. More can be made afterwards. */
  release(): void {
    this.#directories.closeAll();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /**
   * Makes a file of one chunk without holes whose tree answers at once, as nearly all are: as `#large` does, without
   * its waiting. False where it has not even begun.
   */
  #small(path: string, node: TreeNode, isLate: boolean): boolean {
    const { stat } = node;
    if (stat.size > CHUNK) return false;
    const extents = this.#now(node.extents?.());
    const hasHoles = extents !== undefined && stat.size > 0 && extents[0]?.length !== stat.size;
    if (!this.#answersAtOnce || hasHoles) return false;
    const bytes = stat.size === 0 ? undefined : this.#now(this.#read(node, 0, stat.size));
    if (!this.#answersAtOnce || (bytes?.length ?? 0) < stat.size) return false;
    const mode = this.#birthMode(stat, isLate);
    const fd = this.#create(path, mode);
    try {
      if (bytes) writeAt(fd, 0, bytes);
      this.#settle(fd, stat, mode, isLate);
    } finally {
      this.#calls.close(fd);
    }
    this.bytes += stat.size;
    return true;
  }

  async *#large(path: string, node: TreeNode, isLate: boolean): AsyncGenerator<number> {
    const { stat } = node;
    const fd = this.#create(path, PRIVATE);
    try {
      const extents = (await node.extents?.()) ?? [{ offset: 0, length: stat.size }];
      for (const extent of extents) yield* this.#copy(fd, path, node, extent);
      const last = extents.at(-1);
      if (!last || last.offset + last.length < stat.size) ftruncateSync(fd, stat.size);
      this.#settle(fd, stat, PRIVATE, isLate);
    } finally {
      this.#calls.close(fd);
    }
  }

  async *#copy(
    fd: number,
    path: string,
    node: TreeNode,
    { offset, length }: Extent,
  ): AsyncGenerator<number> {
    for (let at = offset; at < offset + length; ) {
      const bytes = await this.#read(node, at, Math.min(CHUNK, offset + length - at));
      if (bytes.length === 0) {
        throw new VfsError(
          'VFS_IO',
          `Cannot copy ${path}: it ends at byte ${at} of ${node.stat.size}`,
        );
      }
      writeAt(fd, at, bytes);
      at += bytes.length;
      this.bytes += bytes.length;
      yield this.bytes;
    }
  }

  /** Up to a chunk of a file, valid until the next one. */
  #read(node: TreeNode, offset: number, length: number): Awaitable<Uint8Array> {
    if (node.readInto === undefined) return node.read(offset, length);
    this.#memory ??= new Uint8Array(CHUNK);
    const room = this.#memory.subarray(0, length);
    const count = node.readInto(offset, room);
    if (isPromise(count)) return count.then((some) => room.subarray(0, some));
    return count === length ? room : room.subarray(0, count);
  }

  /** The value, where it is there; else notes that this tree answers later. */
  #now<T>(value: Awaitable<T>): T | undefined {
    if (!isPromise(value)) return value;
    this.#answersAtOnce = false;
    // It will be asked for again, by who can wait. Until it comes, this memory is its own.
    this.#memory = undefined;
    value.catch(() => undefined);
    return undefined;
  }

  #create(path: string, mode: number): number {
    const slash = path.lastIndexOf('/');
    const isThere = slash === this.#above.length && path.startsWith(this.#above);
    if (!isThere) this.#above = path.slice(0, Math.max(slash, 0));
    const directory = this.#directories.of(this.#above, this.#openAbove);
    return this.#calls.open(directory, path.slice(slash + 1), CREATE, mode);
  }

  readonly #openAbove = (): number => openSync(pathBelow(this.#base, this.#above), DIRECTORY);

  /** The mode to make a file with: its own where that comes out as it is, which saves a call. */
  #birthMode({ mode }: Stat, isLate: boolean): number {
    const isKept = !isLate && (mode & ~this.#born.mode) === 0;
    return isKept ? mode : PRIVATE;
  }

  /** What a file gets when its data are in it, and was made with `mode`. */
  #settle(fd: number, stat: Stat, mode: number, isLate: boolean): void {
    const { owners, durable } = this.#options;
    if (owners && !this.isBornTo(stat)) fchownSync(fd, stat.uid, stat.gid);
    // Behind that, which takes set-uid bits away. A umask may even take bits of one's own.
    const isBorn = mode === stat.mode && (mode & ~this.#born.mode) === 0;
    if (!isLate && !isBorn) fchmodSync(fd, stat.mode);
    setTimes(fd, stat.mtime);
    if (durable) fdatasyncSync(fd);
  }
}

/** Where a path of a tree is, below a directory of this machine. */
export function pathBelow(base: string, path: string): Path {
  const whole = path === '' ? base : `${base}/${path}`;
  return whole.isWellFormed() ? whole : Buffer.from(encodeName(whole));
}

/** Whose a new file is, and which bits of its mode it keeps. */
interface Born {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Tried, as it depends on the umask, on default ACLs, on set-gid bits and on how the disk is mounted. */
function bornIn(directory: string): Born {
  const path = `${directory}/.anole-${process.pid}.${threadId}`;
  const fd = openSync(path, CREATE, 0o777);
  try {
    const { uid, gid, mode } = fstatSync(fd);
    return { uid, gid, mode: mode & 0o777 };
  } finally {
    closeSync(fd);
    unlinkSync(path);
  }
}
