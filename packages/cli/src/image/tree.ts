import { tmpdir } from 'node:os';
import { openErofs } from '@anole/erofs';
import { fileSource, hostDecoders } from '@anole/host';
import { type Image, mediaTypes } from '@anole/oci';
import { imageTree } from '@anole/oci/node';
import type { Tree } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { type PlatformFlags, type RegistryFlags, Session } from './session.ts';

/** The file system of a container image, open until it is disposed of. */
export interface OpenContainer extends AsyncDisposable {
  readonly tree: Tree;
}

/** Opens the file system of an image that a user named: of its layers, or of its EROFS variant. */
export async function openContainer(
  name: string,
  context: CommandContext,
  flags: RegistryFlags & PlatformFlags = {},
): Promise<OpenContainer> {
  await using resources = new AsyncDisposableStack();
  const session = resources.use(await Session.open(context, flags));
  const image = await session.image(name, flags);
  const tree = erofsFile(image) ?? (await imageTree(image, { ...session.call, scratch: tmpdir() }));
  const opened = typeof tree === 'string' ? await openFile(tree, resources) : tree;
  resources.defer(() => opened.close?.());
  const kept = resources.move();
  return { tree: opened, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The file of an image that is EROFS as a whole, where it is in the store or a layout. */
function erofsFile({ manifest, reader }: Image): string | undefined {
  const [layer] = manifest.layers;
  return layer?.mediaType === mediaTypes.erofsLayer ? reader.pathOf?.(layer) : undefined;
}

async function openFile(path: string, resources: AsyncDisposableStack): Promise<Tree> {
  const source = resources.use(fileSource(path));
  return await openErofs(source, { decoders: hostDecoders });
}
