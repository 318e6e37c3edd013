import { openErofs } from '@anole/erofs/reader';
import { fileSource, hostTree } from '@anole/host';
import { type Tree, treeFromTar } from '@anole/vfs';
import type { TreeSource } from './messages.ts';

/** Opens what an image comes from. It is read as long as the machine runs. */
export async function openTree(source: TreeSource): Promise<Tree> {
  if (source.kind === 'directory') return hostTree(source.path);
  if (source.kind === 'on-demand') {
    const { openTreeOnDemand } = await import('@anole/nydus/on-demand');
    return await openTreeOnDemand(source.image, source.path);
  }
  const file = fileSource(source.path);
  return source.kind === 'tar' ? await treeFromTar(file) : await openErofs(file);
}
