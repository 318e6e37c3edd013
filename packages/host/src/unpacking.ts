import { chmodSync, lchownSync, linkSync, mkdirSync, symlinkSync } from 'node:fs';
import { encodeName, isPromise } from '@anole/bytes';
import type { Stat, TreeNode, WalkEntry } from '@anole/vfs';
import { FileMaker, type Path, pathBelow } from './file-maker.ts';
import { setTimes } from './set-times.ts';
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

type Xattrs = ReadonlyMap<string, Uint8Array>;

/**
 * A tree being written below `base`, a directory that only the user can enter. Names come in the
 * order of `walk`, which lets nothing pass that is no name; every directory was made here, so no path
 * leads through a symbolic link.
 */
export class Unpacking implements Disposable {
  readonly base: string;
  readonly owners: boolean;
  readonly skipped: SkippedPart[] = [];
  entries = 0;
  private readonly options: UnpackingOptions;
  private readonly files: FileMaker;
  private readonly absent = new Set<string>();
  private readonly directories: { readonly path: Path; readonly stat: Stat }[] = [];
  private readonly withXattrs = new Map<string, Xattrs>();
  private readonly lateModes: { readonly path: Path; readonly mode: number }[] = [];

  constructor(base: string, options: UnpackingOptions) {
    this.base = base;
    this.options = options;
    this.owners = options.owners ?? process.geteuid?.() === 0;
    const { durable = false } = options;
    this.files = new FileMaker(base, { owners: this.owners, durable });
  }

  get bytes(): number {
    return this.files.bytes;
  }

  /** Makes the node; gives what is to be waited for, step by step, where there is something. */
  put({ path, node, linkTo }: WalkEntry): AsyncIterable<unknown> | undefined {
    if (linkTo !== undefined) {
      this.link(path, linkTo);
      return undefined;
    }
    const xattrs = this.options.xattrs === false ? undefined : node.xattrs();
    return isPromise(xattrs) ? this.later(path, node, xattrs) : this.make(path, node, xattrs);
  }

  /** Sets what had to wait until everything is in place. Not to be interrupted. */
  finish(): void {
    if (this.withXattrs.size > 0) {
      this.skipped.push(...restoreXattrs(this.base, this.withXattrs));
    }
    for (const { path, mode } of this.lateModes) chmodSync(path, mode);
    // Directories last, the inner ones first: making a name changes the time of what it is in.
    for (const { path, stat } of this.directories.toReversed()) {
      this.own(path, stat);
      setTimes(path, stat.mtime);
      chmodSync(path, stat.mode);
    }
  }

  /** Makes all directories removable again. */
  openUp(): void {
    for (const { path } of this.directories) chmodSync(path, 0o700);
  }

  [Symbol.dispose](): void {
    this.files.release();
  }

  private link(path: string, linkTo: string): void {
    if (!this.absent.has(linkTo)) linkSync(this.at(linkTo), this.at(path));
    else this.skipped.push({ path, reason: `it is a name of ${linkTo}, which is left out` });
    this.entries++;
  }

  private async *later(
    path: string,
    node: TreeNode,
    xattrs: Promise<Xattrs>,
  ): AsyncGenerator<unknown> {
    const making = this.make(path, node, await xattrs);
    if (making) yield* making;
  }

  private make(
    path: string,
    node: TreeNode,
    xattrs: Xattrs | undefined,
  ): AsyncIterable<unknown> | undefined {
    const { stat } = node;
    const hasXattrs = xattrs !== undefined && xattrs.size > 0;
    let making: AsyncIterable<unknown> | undefined;
    if (stat.type === 'file') {
      if (hasXattrs) this.lateModes.push({ path: this.at(path), mode: stat.mode });
      making = this.files.make(path, node, hasXattrs);
    } else if (stat.type === 'directory') this.directory(path, stat);
    else if (stat.type === 'symlink') making = this.symlink(path, node);
    else if (!this.special(path, stat)) return undefined;
    this.entries++;
    if (hasXattrs) this.withXattrs.set(path, xattrs);
    return making;
  }

  private directory(path: string, stat: Stat): void {
    const here = this.at(path);
    if (path !== '') mkdirSync(here, 0o700);
    this.directories.push({ path: here, stat });
  }

  private symlink(path: string, node: TreeNode): AsyncIterable<unknown> | undefined {
    const make = (target: string) => {
      const here = this.at(path);
      symlinkSync(Buffer.from(encodeName(target)), here);
      this.own(here, node.stat);
      setTimes(here, node.stat.mtime);
    };
    const target = node.readLink();
    if (isPromise(target)) return once(target.then(make));
    make(target);
    return undefined;
  }

  /** False where this machine or user cannot have it. */
  private special(path: string, stat: Stat): boolean {
    const here = this.at(path);
    const reason = makeSpecial(here, stat);
    if (reason !== undefined) {
      this.skipped.push({ path, reason });
      this.absent.add(path);
      return false;
    }
    this.own(here, stat);
    chmodSync(here, stat.mode);
    setTimes(here, stat.mtime);
    return true;
  }

  private own(here: Path, stat: Stat): void {
    if (this.owners && !this.files.isBornTo(stat)) lchownSync(here, stat.uid, stat.gid);
  }

  private at(path: string): Path {
    return pathBelow(this.base, path);
  }
}

/** One step to wait for. */
async function* once(step: Promise<unknown>): AsyncGenerator<unknown> {
  yield await step;
}
