import { FuseServer } from '@anole/fuse';
import { type FuseMount, mountFuse } from '@anole/host';
import { type TracedRead, type Tree, tracedTree } from '@anole/vfs';

/** What the kernel reads beyond that nobody asked for. */
const PAGE = 4096;

/**
 * Mounts a tree through FUSE, where each read passes by, for as long as this process lives. Nothing is read ahead:
 * the reads are those of programs, to the page.
 *
 * @throws HostError as `mountFuse`
 */
export function mountTraced(
  tree: Tree,
  directory: string,
  onRead: (read: TracedRead) => void,
): Promise<FuseMount> {
  const server = new FuseServer(tracedTree(tree, onRead), { maxReadahead: PAGE });
  return mountFuse(directory, (request) => server.handle(request), { options: ['ro'] });
}
