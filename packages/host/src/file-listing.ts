import type { TreeNode } from '@anole/vfs';
import { HostNode } from './host-tree.ts';
import { type FileList, KEY_WORDS } from './listed-files.ts';

/** Files that there is room for at first. */
const FILES = 64;

/** Gathers a {@link FileList}: of files to read, or of directories to list. */
export class FileListing {
  #tree: string | undefined;
  /** Numbers by the nodes. */
  readonly #directories = new Map<HostNode, number>();
  #last: HostNode | undefined;
  #lastNumber = 0;
  #names: string[] = [];
  #keys = new Uint32Array(FILES * KEY_WORDS);

  get count(): number {
    return this.#names.length;
  }

  /** Takes a file. False where it is no file of this machine, or of another tree than those before. */
  add(node: TreeNode): boolean {
    if (!(node instanceof HostNode) || node.parent === undefined) return false;
    this.#tree ??= node.tree;
    if (node.tree !== this.#tree) return false;
    const at = this.#names.length * KEY_WORDS;
    if (at === this.#keys.length) {
      const larger = new Uint32Array(at * 2);
      larger.set(this.#keys);
      this.#keys = larger;
    }
    this.#names.push(node.name);
    this.#keys[at] = this.#numberOf(node.parent);
    node.putVersion(this.#keys, at + 1);
    return true;
  }

  /** Files of one directory come together, mostly. */
  #numberOf(directory: HostNode): number {
    if (directory === this.#last) return this.#lastNumber;
    const number = this.#directories.get(directory) ?? this.#directories.size;
    this.#directories.set(directory, number);
    this.#last = directory;
    this.#lastNumber = number;
    return number;
  }

  /** The list. Begins another one, of the same tree. */
  take(): FileList {
    const list = {
      tree: this.#tree ?? '',
      directories: [...this.#directories.keys()].map((node) => node.path()).join('\0'),
      names: this.#names.join('/'),
      keys: this.#keys.slice(0, this.#names.length * KEY_WORDS),
    };
    this.#directories.clear();
    this.#last = undefined;
    this.#names = [];
    return list;
  }
}
