import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { threadId } from 'node:worker_threads';
import { type Awaitable, encodeName, isPromise } from '@anole/bytes';
import {
  type Extent,
  type Stat,
  type Timestamp,
  type TreeNode,
  VfsError,
  type WalkEntry,
} from '@anole/vfs';
import { makeSpecial } from './special.ts';
import { restoreXattrs } from './xattr-restore.ts';

/** Something of the tree that the directory does not have. */
export interface SkippedPart {
  readonly path: string;
  readonly reason: string;
}

interface UnpackingOptions {
  readonly owners?: boolean;
  readonly xattrs?: boolean;
  readonly durable?: boolean;
}

/** Names that are no UTF-8 are bytes. */
type Path = string | Buffer;

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** The mode of files until they are whole. */
const PRIVATE = 0o600;
/** Bytes of a file copied at once. */
const CHUNK = 1024 * 1024;

/**
 * A tree being written below `base`, a directory that only the user can enter. Names come in the
 * order of `walk`, which lets nothing pass that is no name; every directory was made here, so no path
 * leads through a symbolic link.
 */
export class Unpacking {
  readonly base: string;
  readonly owners: boolean;
  readonly skipped: SkippedPart[] = [];
  entries = 0;
  bytes = 0;
  private readonly options: UnpackingOptions;
  private readonly born: Born;
  private answersAtOnce = true;
  private readonly absent = new Set<string>();
  private readonly directories: { readonly path: Path; readonly stat: Stat }[] = [];
  private readonly withXattrs = new Map<string, ReadonlyMap<string, Uint8Array>>();
  private readonly lateModes: { readonly path: Path; readonly mode: number }[] = [];

  constructor(base: string, options: UnpackingOptions) {
    this.base = base;
    this.options = options;
    this.owners = options.owners ?? process.geteuid?.() === 0;
    this.born = bornIn(base);
  }

  /** Makes the node; gives the copying of its contents where there is something to wait for. */
  put({ path, node, linkTo }: WalkEntry): AsyncIterable<number> | undefined {
    const here = this.at(path);
    if (linkTo !== undefined) {
      if (!this.absent.has(linkTo)) linkSync(this.at(linkTo), here);
      else this.skipped.push({ path, reason: `it is a name of ${linkTo}, which is left out` });
      this.entries++;
      return undefined;
    }
    if (node.stat.type === 'file' && this.answersAtOnce) {
      if (this.smallFile(path, here, node)) return undefined;
    }
    return this.make(path, here, node);
  }

  /**
   * Writes a file of one chunk without holes whose tree answers at once, as nearly all are: the steps
   * of {@link make} without its waiting. False where it has not even begun.
   */
  private smallFile(path: string, here: Path, node: TreeNode): boolean {
    const { stat } = node;
    if (stat.size > CHUNK) return false;
    const xattrs = this.options.xattrs === false ? undefined : this.now(node.xattrs());
    const extents = this.now(node.extents?.());
    const [whole] = extents ?? [];
    const hasHoles = extents !== undefined && stat.size > 0 && whole?.length !== stat.size;
    if (!this.answersAtOnce || hasHoles) return false;
    const bytes = stat.size === 0 ? undefined : this.now(node.read(0, stat.size));
    if (!this.answersAtOnce || (bytes?.length ?? 0) < stat.size) return false;
    const mode = this.birthMode(stat, xattrs);
    const fd = openSync(here, CREATE, mode);
    try {
      if (bytes) writeWhole(fd, bytes, 0);
      this.settle(fd, here, stat, xattrs, mode);
    } finally {
      closeSync(fd);
    }
    this.bytes += stat.size;
    this.entries++;
    if (xattrs && xattrs.size > 0) this.withXattrs.set(path, xattrs);
    return true;
  }

  /** The value, where it is there; else notes that this tree answers later. */
  private now<T>(value: Awaitable<T>): T | undefined {
    if (!isPromise(value)) return value;
    this.answersAtOnce = false;
    // It will be asked for again, by who can wait.
    value.catch(() => undefined);
    return undefined;
  }

  /** The mode to make a file with: its own where that comes out as it is, which saves a call. */
  private birthMode(stat: Stat, xattrs: ReadonlyMap<string, Uint8Array> | undefined): number {
    const isPlain = (xattrs === undefined || xattrs.size === 0) && this.isKept(stat);
    return isPlain ? stat.mode : PRIVATE;
  }

  private isKept({ mode }: Stat): boolean {
    return (mode & ~this.born.mode) === 0;
  }

  private isBornTo({ uid, gid }: Stat): boolean {
    return uid === this.born.uid && gid === this.born.gid;
  }

  /** What a file gets when its data are in it, and was made with `mode`. */
  private settle(
    fd: number,
    here: Path,
    stat: Stat,
    xattrs: ReadonlyMap<string, Uint8Array> | undefined,
    mode: number,
  ): void {
    if (this.owners && !this.isBornTo(stat)) fchownSync(fd, stat.uid, stat.gid);
    // Attributes can be set only while the user may write, and chown takes set-uid bits away.
    if (xattrs === undefined || xattrs.size === 0) {
      if (mode !== stat.mode) fchmodSync(fd, stat.mode);
    } else this.lateModes.push({ path: here, mode: stat.mode });
    futimesSync(fd, unixTime(stat.mtime), unixTime(stat.mtime));
    if (this.options.durable) fdatasyncSync(fd);
  }

  /** Sets what had to wait until everything is in place. Not to be interrupted. */
  finish(): void {
    if (this.withXattrs.size > 0) {
      this.skipped.push(...restoreXattrs(this.base, this.withXattrs));
    }
    for (const { path, mode } of this.lateModes) chmodSync(path, mode);
    // Directories last, the inner ones first: making a name changes the time of what it is in.
    for (const { path, stat } of this.directories.toReversed()) {
      if (this.owners) lchownSync(path, stat.uid, stat.gid);
      lutimesSync(path, unixTime(stat.mtime), unixTime(stat.mtime));
      chmodSync(path, stat.mode);
    }
  }

  /** Makes all directories removable again. */
  openUp(): void {
    for (const { path } of this.directories) chmodSync(path, 0o700);
  }

  private async *make(path: string, here: Path, node: TreeNode): AsyncGenerator<number> {
    const { stat } = node;
    switch (stat.type) {
      case 'file':
        yield* this.file(path, here, node);
        break;
      case 'directory':
        if (path !== '') mkdirSync(here, 0o700);
        this.directories.push({ path: here, stat });
        break;
      case 'symlink':
        symlinkSync(Buffer.from(encodeName(await node.readLink())), here);
        break;
      default:
        if (!this.special(path, here, stat)) return;
    }
    this.entries++;
    await this.attributes(path, here, node);
  }

  private async attributes(path: string, here: Path, node: TreeNode): Promise<void> {
    const { stat } = node;
    const xattrs = this.options.xattrs === false ? undefined : await node.xattrs();
    if (xattrs && xattrs.size > 0) this.withXattrs.set(path, xattrs);
    if (stat.type === 'directory' || stat.type === 'file') return;
    if (this.owners) lchownSync(here, stat.uid, stat.gid);
    if (stat.type !== 'symlink') chmodSync(here, stat.mode);
    lutimesSync(here, unixTime(stat.mtime), unixTime(stat.mtime));
  }

  private async *file(path: string, here: Path, node: TreeNode): AsyncGenerator<number> {
    const { stat } = node;
    const fd = openSync(here, CREATE, PRIVATE);
    try {
      const extents = (await node.extents?.()) ?? [{ offset: 0, length: stat.size }];
      for (const extent of extents) yield* this.copy(fd, path, node, extent);
      const last = extents.at(-1);
      if (!last || last.offset + last.length < stat.size) ftruncateSync(fd, stat.size);
      const xattrs = this.options.xattrs === false ? undefined : await node.xattrs();
      this.settle(fd, here, stat, xattrs, PRIVATE);
    } finally {
      closeSync(fd);
    }
  }

  private async *copy(
    fd: number,
    path: string,
    node: TreeNode,
    { offset, length }: Extent,
  ): AsyncGenerator<number> {
    for (let at = offset; at < offset + length; ) {
      const bytes = await node.read(at, Math.min(CHUNK, offset + length - at));
      if (bytes.length === 0) {
        throw new VfsError(
          'VFS_IO',
          `Cannot copy ${path}: it ends at byte ${at} of ${node.stat.size}`,
        );
      }
      writeWhole(fd, bytes, at);
      at += bytes.length;
      this.bytes += bytes.length;
      yield this.bytes;
    }
  }

  private special(path: string, here: Path, stat: Stat): boolean {
    const reason = makeSpecial(here, stat);
    if (reason === undefined) return true;
    this.skipped.push({ path, reason });
    this.absent.add(path);
    return false;
  }

  private at(path: string): Path {
    const whole = path === '' ? this.base : `${this.base}/${path}`;
    return whole.isWellFormed() ? whole : Buffer.from(encodeName(whole));
  }
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

function writeWhole(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, at + done);
  }
}

/**
 * What Node's utimes takes: a number of seconds, as text since it takes negative numbers for "now".
 * Half a microsecond is added so that cutting off what a double cannot hold keeps the microsecond.
 */
function unixTime({ seconds, nanoseconds }: Timestamp): string {
  if (nanoseconds === 0) return String(seconds);
  return String(seconds + (Math.floor(nanoseconds / 1000) + 0.5) / 1e6);
}
