import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { DirectoryEntry, Stat, Tree, TreeNode } from '@anole/vfs';
import { type ErofsImage, writeErofs } from '../src/index.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Bytes in use when all that nobody refers to is gone. */
function inUse(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const FILES = 500;

/** A file of which next to nothing is kept: its number. Each has a time of its own. */
class File implements TreeNode {
  readonly ino: number;

  constructor(ino: number) {
    this.ino = ino;
  }

  get stat(): Stat {
    const mtime = { seconds: 1_700_000_000 + this.ino, nanoseconds: this.ino * 3 };
    const common = { mode: 0o644, uid: 0, gid: 0, nlink: 1, mtime };
    return { ...common, ino: this.ino, type: 'file', size: this.ino % 5000 };
  }

  read(_offset: number, length: number): Uint8Array {
    return new Uint8Array(length);
  }

  xattrs(): ReadonlyMap<string, Uint8Array> {
    return new Map();
  }

  lookup(): undefined {
    return undefined;
  }

  list(): readonly DirectoryEntry[] {
    return [];
  }

  readLink(): string {
    return '';
  }
}

/** Directories of files, or of such directories. */
class Directory extends File {
  readonly below: number;

  constructor(ino: number, below: number) {
    super(ino);
    this.below = below;
  }

  override get stat(): Stat {
    return { ...super.stat, type: 'directory', mode: 0o755, nlink: 2 };
  }

  override list(): readonly DirectoryEntry[] {
    const count = this.below || FILES;
    return Array.from({ length: count }, (_, index) => {
      const ino = this.below ? 2 + index : 2 ** 16 + this.ino * FILES + index;
      const node = this.below ? new Directory(ino, 0) : new File(ino);
      return { name: `name-${index}`, type: node.stat.type, ino, node };
    });
  }
}

/** Bytes that an image of so many directories keeps while it is written. */
async function keptBy(directories: number): Promise<{ bytes: number; image: ErofsImage }> {
  const tree: Tree = { root: new Directory(1, directories) };
  const before = inUse();
  const image = await writeErofs(tree);
  return { bytes: inUse() - before, image };
}

test('a million inodes take less than 260 MiB while an image is written', async () => {
  const few = await keptBy(20);
  const many = await keptBy(220);
  const inodes = many.image.inodes - few.image.inodes;
  assert.equal(inodes, 200 * (FILES + 1));
  const each = (many.bytes - few.bytes) / inodes;
  assert.ok(each * 1e6 < 260 * 2 ** 20, `${each} bytes are kept for each inode`);
});
