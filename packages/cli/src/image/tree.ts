import { tmpdir } from 'node:os';
import { type CallOptions, cachedSource } from '@anole/bytes';
import { openErofs } from '@anole/erofs';
import { fileSource, hostDecoders } from '@anole/host';
import { bootstrapLayer, openErofsIndex, openRafsLayers, rafsBeside } from '@anole/nydus/node';
import { blobSource, type Image, mediaTypes, OciError } from '@anole/oci';
import {
  boundIndex,
  type FindIndex,
  findIndexes,
  imageTree,
  indexedTree,
  readLayerIndex,
  type SociIndex,
} from '@anole/oci/node';
import type { Tree } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { type PlatformFlags, type RegistryFlags, Session } from './session.ts';

/** The file system of a container image, open until it is disposed of. */
export interface OpenContainer extends AsyncDisposable {
  readonly tree: Tree;
}

/**
 * Opens the file system of an image that a user named: of its layers, or of its EROFS or RAFS variant. Layers of
 * an image in a registry that names its own index are read through that, as far as they are needed.
 */
export async function openContainer(
  name: string,
  context: CommandContext,
  flags: RegistryFlags & PlatformFlags = {},
): Promise<OpenContainer> {
  return open(name, context, flags, async (image, session) => {
    const index = image.reader.origin && (await boundIndex(image, session.call));
    return index ? throughIndex(image, index, session) : whole(image, session);
  });
}

/** As above, through an index of the image of any kind, be it one that somebody else has put beside it. */
export async function openIndexed(
  name: string,
  context: CommandContext,
  flags: RegistryFlags & PlatformFlags = {},
): Promise<OpenContainer> {
  return open(name, context, flags, async (image, { call }, resources) => {
    const find = await findIndexes(image, call);
    if (find) return indexedTree(image, find, { ...call, scratch: tmpdir() });
    const tree = await openErofsIndex(image, call);
    if (tree) return tree;
    const rafs = await rafsBeside(image, call);
    if (rafs === undefined) throw noIndex(image);
    const { reader } = image;
    return (await openRafsImage({ reader, manifest: rafs.content }, call, resources)).image;
  });
}

/**
 * What is known of the layers of an image, whoever says it.
 *
 * @throws OciError `OCI_NOT_FOUND`
 */
export async function anyIndexes(image: Image, call: CallOptions): Promise<FindIndex> {
  const found = await findIndexes(image, call);
  if (found) return found;
  throw noIndex(image);
}

function noIndex(image: Image): OciError {
  return new OciError('OCI_NOT_FOUND', `Cannot find an index of ${image.descriptor.digest}`, {
    hint: 'anole image index IMAGE makes one.',
  });
}

async function open(
  name: string,
  context: CommandContext,
  flags: RegistryFlags & PlatformFlags,
  read: (image: Image, session: Session, resources: AsyncDisposableStack) => Promise<Tree>,
): Promise<OpenContainer> {
  await using resources = new AsyncDisposableStack();
  const session = resources.use(await Session.open(context, flags));
  const image = await session.image(name, flags);
  const file = erofsFile(image);
  const tree =
    file !== undefined
      ? await openFile(file, resources)
      : bootstrapLayer(image.manifest.layers)
        ? (await openRafsImage(image, session.call, resources)).image
        : await read(image, session, resources);
  resources.defer(() => tree.close?.());
  const kept = resources.move();
  return { tree, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

function whole(image: Image, { call }: Session): Promise<Tree> {
  return imageTree(image, { ...call, scratch: tmpdir() });
}

function throughIndex(image: Image, index: SociIndex, { call }: Session): Promise<Tree> {
  const find: FindIndex = (layer) => readLayerIndex(image.reader, index, layer, call);
  return indexedTree(image, find, { ...call, scratch: tmpdir() });
}

/** The file of an image that is EROFS as a whole, where it is in the store or a layout. */
function erofsFile({ manifest, reader }: Image): string | undefined {
  const [layer] = manifest.layers;
  return layer?.mediaType === mediaTypes.erofsLayer ? reader.pathOf?.(layer) : undefined;
}

/** An image of Nydus, whose blobs are read by ranges; it is open as long as the resources are. */
export async function openRafsImage(
  { manifest, reader }: Pick<Image, 'manifest' | 'reader'>,
  { signal }: CallOptions,
  resources: AsyncDisposableStack,
): Promise<Awaited<ReturnType<typeof openRafsLayers>>> {
  const opened = resources.use(new DisposableStack());
  return await openRafsLayers(manifest.layers, {
    all: (layer) => reader.blob(layer, signal ? { signal } : {}),
    ranges(layer) {
      const path = reader.pathOf?.(layer);
      if (path === undefined) return cachedSource(blobSource(reader, layer));
      return opened.use(fileSource(path));
    },
  });
}

async function openFile(path: string, resources: AsyncDisposableStack): Promise<Tree> {
  const source = resources.use(fileSource(path));
  return await openErofs(source, { decoders: hostDecoders });
}
