import {
  type Tree,
  type TreeNode,
  VfsError,
  type WritableNode,
  type WritableTree,
} from '@anole/vfs';
import { mountPoints } from './boot.ts';

const maxLinks = 40; // as the kernel (path_resolution(7))
const directory = { type: 'directory', mode: 0o755, uid: 0, gid: 0 } as const;

/** Makes an image's root ready for the guest: the directories where the init process mounts. */
export async function prepareRoot(tree: WritableTree): Promise<void> {
  for (const path of mountPoints) await makeDirectory(tree, path);
  await makeTemporary(tree);
}

/** Everybody may write to /tmp, whatever the image says. What it holds is part of the root. */
async function makeTemporary(tree: WritableTree): Promise<void> {
  const there = await tree.root.lookup('tmp');
  if (there === undefined) await tree.root.create('tmp', { ...directory, mode: 0o1777 });
  else if (there.stat.type === 'directory' && there.stat.mode !== 0o1777) {
    await there.change({ mode: 0o1777 });
  }
}

/**
 * Whether all of {@link mountPoints} are directories by themselves, no symbolic links: as the guest of
 * a template has found them.
 */
export async function hasPlainMountPoints(tree: Tree): Promise<boolean> {
  for (const path of mountPoints) {
    let node: TreeNode | undefined = tree.root;
    for (const name of partsOf(path)) node = await node?.lookup(name);
    if (node?.stat.type !== 'directory') return false;
  }
  return true;
}

/**
 * Makes a directory with its parents where they are missing, inside the tree whatever symbolic
 * links say.
 *
 * @returns the directory's path without symbolic links, absolute
 */
async function makeDirectory(tree: WritableTree, path: string): Promise<string> {
  let trail: { name: string; node: WritableNode }[] = [];
  const todo = partsOf(path).reverse();
  for (let links = 0; todo.length > 0; ) {
    const name = todo.pop()!;
    if (name === '..') {
      trail.pop();
      continue;
    }
    const parent = trail.at(-1)?.node ?? tree.root;
    const node = (await parent.lookup(name)) ?? (await parent.create(name, directory));
    if (node.stat.type === 'symlink') {
      if (++links > maxLinks) throw new VfsError('VFS_LOOP', `Cannot make ${path}: too many links`);
      const target = await node.readLink();
      if (target.startsWith('/')) trail = [];
      todo.push(...partsOf(target).reverse());
      continue;
    }
    if (node.stat.type !== 'directory') {
      throw new VfsError('VFS_NOT_DIRECTORY', `Cannot make ${path}: ${name} is no directory`);
    }
    trail.push({ name, node });
  }
  return `/${trail.map(({ name }) => name).join('/')}`;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
