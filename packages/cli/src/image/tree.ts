import { hash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { type CallOptions, cachedSource, type Source } from '@anole/bytes';
import { verifiedSource } from '@anole/bytes/verity';
import { openErofs } from '@anole/erofs';
import { fileSource, hostDecoders } from '@anole/host';
import {
  bootstrapLayer,
  boundMap,
  type ImageMap,
  mapBeside,
  mappedTree,
  openRafsLayers,
  rafsBeside,
} from '@anole/nydus/node';
import {
  blobSource,
  type Descriptor,
  dmverityOf,
  type Image,
  type ImageReader,
  mediaTypes,
  OciError,
} from '@anole/oci';
import {
  boundIndex,
  type FindIndex,
  findIndexes,
  imageTree,
  indexedTree,
  openBlob,
  readLayerIndex,
  type SociIndex,
} from '@anole/oci/node';
import type { Tree } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { type PlatformFlags, type RegistryFlags, Session } from './session.ts';

/** The file system of a container image, open until it is disposed of. */
export interface OpenContainer extends AsyncDisposable {
  readonly tree: Tree;
  readonly image: Image;
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

/**
 * As above, of which all is wanted: layers are read whole, whatever indexes there are.
 *
 * @param scratch where decompressed layers wait
 */
export async function openWhole(
  name: string,
  context: CommandContext,
  flags: RegistryFlags & PlatformFlags,
  scratch: string,
): Promise<OpenContainer> {
  return open(name, context, flags, (image, session) => whole(image, session, scratch));
}

/** As above, through an index of the image of any kind, be it one that somebody else has put beside it. */
export async function openIndexed(
  name: string,
  context: CommandContext,
  flags: RegistryFlags & PlatformFlags = {},
): Promise<OpenContainer> {
  return open(name, context, flags, async (image, { call }, resources) => {
    const map = await anyMap(image, call);
    if (map) return mappedTree(image, map, call);
    const find = await findIndexes(image, call);
    if (find) return indexedTree(image, find, { ...call, scratch: tmpdir() });
    const rafs = await rafsBeside(image, call);
    if (rafs === undefined) throw noIndex(image);
    const { reader } = image;
    return (await openRafsImage({ reader, manifest: rafs.content }, call, resources)).image;
  });
}

/** The index of an image as EROFS, whoever says it. */
export async function anyMap(image: Image, call: CallOptions): Promise<ImageMap | undefined> {
  return (await boundMap(image, call)) ?? (await mapBeside(image, call));
}

export function noIndex(image: Image): OciError {
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
  const tree =
    (await openVariant(image, session, resources)) ?? (await read(image, session, resources));
  resources.defer(() => tree.close?.());
  const kept = resources.move();
  return { tree, image, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

function whole(image: Image, { call }: Session, scratch = tmpdir()): Promise<Tree> {
  return imageTree(image, { ...call, scratch });
}

function throughIndex(image: Image, index: SociIndex, { call }: Session): Promise<Tree> {
  const find: FindIndex = (layer) => readLayerIndex(image.reader, index, layer, call);
  return indexedTree(image, find, { ...call, scratch: tmpdir() });
}

/** The file system of an image that is EROFS or RAFS as a whole; undefined for one of layers. */
async function openVariant(
  image: Image,
  { call }: Session,
  resources: AsyncDisposableStack,
): Promise<Tree | undefined> {
  const { layers } = image.manifest;
  if (bootstrapLayer(layers)) return (await openRafsImage(image, call, resources)).image;
  const [layer] = layers;
  if (layer?.mediaType !== mediaTypes.erofsLayer || layers.length > 1) return undefined;
  const source = erofsSource(image.reader, layer);
  if (source === undefined) return undefined;
  resources.defer(() => source.close?.());
  return await openErofs(source, { decoders: hostDecoders });
}

/** An EROFS image: a file, or read by ranges and proven by dm-verity. Undefined where nothing proves it. */
function erofsSource(reader: ImageReader, layer: Descriptor): Source | undefined {
  const path = reader.pathOf?.(layer);
  if (path !== undefined) return fileSource(path);
  const verity = dmverityOf(layer);
  if (verity === undefined) return undefined;
  const digest = (bytes: Uint8Array) => hash('sha256', bytes, 'buffer');
  const place = { ...verity, size: verity.hashOffset, digest };
  return verifiedSource(cachedSource(openBlob(reader, layer)), place);
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
