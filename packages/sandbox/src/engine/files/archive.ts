import { inPieces } from '@anole/bytes';
import { type MemoryOverlay, type TreeNode, type WriteTarOptions, writeTar } from '@anole/vfs';
import { chunkBytes } from '../../files/messages.ts';
import { done } from './changes.ts';
import { type Namespace, ofTheKernel } from './namespace.ts';

/** Written by us where the sandbox has a network: see `guest/names.ts`. */
const ours = new Set(['/etc/resolv.conf']);

/**
 * An archive of the root: of what was changed of the image, or of all. What others mount, and what is the
 * guest kernel's own or ours, is as it is in the image. Pieces are of about a MiB, of their own memory.
 */
export async function* archiveOf(
  root: MemoryOverlay,
  names: Namespace,
  what: 'changes' | 'all',
): AsyncGenerator<Uint8Array> {
  const volumes = new Set(await names.mounted());
  const filter = (path: string) => {
    const at = `/${path}`;
    return !ofTheKernel.has(at) && !ours.has(at) && !volumes.has(at);
  };
  const [mount] = names.all;
  const onDone = (node: TreeNode) => mount && done(mount, node);
  const tree = what === 'all' ? root : await root.changes({ filter, onDone });
  // Of a layer the root is what it is below.
  const isWanted = what === 'all' ? filter : (path: string) => path !== '';
  const options: WriteTarOptions = { prefix: what === 'all' ? './' : '', filter: isWanted };
  yield* inPieces(writeTar(tree, options), chunkBytes);
}
