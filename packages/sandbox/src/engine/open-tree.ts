import { isPromise } from '@anole/bytes';
import { openErofs } from '@anole/erofs/reader';
import { fileSource, hostTree } from '@anole/host';
import { type Tree, type TreeNode, treeFromTar } from '@anole/vfs';
import type { TreeSource } from './messages.ts';
import { OpenedFiles } from './opened-files.ts';

/** An image, and what the machines of this thread that read it have brought into memory. */
interface OpenImage extends Disposable {
  readonly tree: Tree;
  readonly found: Map<string, TreeNode>;
}

export interface OpenedTree {
  readonly tree: Tree;
  /** Nodes that machines found by their paths, for those that go on from others. */
  readonly found?: Map<string, TreeNode>;
}

const images = new OpenedFiles(openImage, 1);

/** Opens what an image comes from. It is read until it is closed. */
export async function openTree(source: TreeSource): Promise<OpenedTree> {
  if (source.kind === 'directory') return { tree: hostTree(source.path, { live: true }) };
  if (source.kind === 'on-demand') {
    const { openTreeOnDemand } = await import('@anole/nydus/on-demand');
    return { tree: await openTreeOnDemand(source.image, source.path) };
  }
  if (source.kind === 'erofs') {
    const { value, leave } = images.take(source.path);
    return { tree: { root: value.tree.root, close: leave }, found: value.found };
  }
  const file = fileSource(source.path);
  try {
    const { root } = await treeFromTar(file);
    return { tree: { root, close: file.close } };
  } catch (error) {
    file.close();
    throw error;
  }
}

function openImage(path: string): OpenImage {
  const file = fileSource(path);
  try {
    const tree = openErofs(file);
    // Where the file answers at once, the image does.
    if (isPromise(tree)) throw new Error('an image in a file was not there at once');
    return { tree, found: new Map(), [Symbol.dispose]: file.close };
  } catch (error) {
    file.close();
    throw error;
  }
}
