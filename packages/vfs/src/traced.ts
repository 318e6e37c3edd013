import { type Awaitable, isPromise } from '@anole/bytes';
import type { DirectoryEntry, Stat, Tree, TreeNode } from './tree.ts';

/** Bytes of a file that somebody read. */
export interface TracedRead {
  /** Without a leading slash. */
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/**
 * A Tree that tells what is read of the files of another, as it is read. Reads that lie together are
 * told once each; those past the end of a file are told as asked.
 */
export function tracedTree(tree: Tree, onRead: (read: TracedRead) => void): Tree {
  return {
    root: new TracedNode(tree.root, '', onRead),
    close: () => tree.close?.(),
  };
}

class TracedNode implements TreeNode {
  readonly #node: TreeNode;
  readonly #path: string;
  readonly #onRead: (read: TracedRead) => void;

  constructor(node: TreeNode, path: string, onRead: (read: TracedRead) => void) {
    this.#node = node;
    this.#path = path;
    this.#onRead = onRead;
  }

  get stat(): Stat {
    return this.#node.stat;
  }

  lookup(name: string): Awaitable<TreeNode | undefined> {
    const path = this.#path === '' ? name : `${this.#path}/${name}`;
    const traced = (found: TreeNode | undefined) =>
      found && new TracedNode(found, path, this.#onRead);
    const found = this.#node.lookup(name);
    return isPromise(found) ? found.then(traced) : traced(found);
  }

  async list(): Promise<readonly DirectoryEntry[]> {
    // Without the children themselves: who reads them looks them up here.
    return (await this.#node.list()).map(({ name, type, ino }) => ({ name, type, ino }));
  }

  readLink(): Awaitable<string> {
    return this.#node.readLink();
  }

  read(offset: number, length: number): Awaitable<Uint8Array> {
    this.#onRead({ path: this.#path, offset, length });
    return this.#node.read(offset, length);
  }

  xattrs(): Awaitable<ReadonlyMap<string, Uint8Array>> {
    return this.#node.xattrs();
  }
}
