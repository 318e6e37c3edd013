import { hash } from 'node:crypto';
import { cachedSource, type Source } from '@anole/bytes';
import { verifiedSource } from '@anole/bytes/verity';
import { indexMembers, openErofs, TAR_BLOCK, writeErofs } from '@anole/erofs';
import {
  type Descriptor,
  dmverityOf,
  type Image,
  type ImageWriter,
  mediaTypes,
  membersOfImage,
  OciError,
  openIndexedLayer,
  ztocsOf,
} from '@anole/oci';
import {
  type IndexedImage,
  type IndexImageOptions,
  indexLayers,
  openBlob,
  putIndex,
  readLayerIndex,
  Staging,
  sha256,
} from '@anole/oci/node';
import type { Tree } from '@anole/vfs';
import { EROFS_INDEX, erofsIndexBeside } from './referrers.ts';

export interface ErofsIndexOptions extends Omit<IndexImageOptions, 'minLayer'> {
  /** Directory for the EROFS image, where the target has none of its own. */
  readonly scratch: string;
}

/**
 * Writes an index of an image as EROFS, and puts it beside the image: all names, attributes and places of its files
 * in one EROFS image, whose devices are the layers as archives, and a ztoc for each layer, by which it becomes one.
 * Each layer is read once.
 *
 * @throws OciError `OCI_UNSUPPORTED` where a layer cannot have an index; `OCI_WRONG_CONTENT`
 */
export async function indexAsErofs(
  image: Image,
  to: ImageWriter,
  options: ErofsIndexOptions,
): Promise<IndexedImage> {
  const layers = await indexLayers(image, to, { ...options, minLayer: 0 });
  await using archives = new AsyncDisposableStack();
  const indexed = layers.map(({ layer, index, why }) => {
    if (index === undefined) throw new OciError('OCI_UNSUPPORTED', cannot(layer, why));
    const archive = openIndexedLayer(index, openBlob(image.reader, layer), { sha256 });
    archives.defer(() => archive.close?.());
    return { archive, members: membersOfImage(layer, index.members) };
  });
  const { tree, external } = await indexMembers(indexed);
  await using staging = await Staging.open(to, options);
  const files = await writeErofs(tree, { external, blockSize: TAR_BLOCK });
  const staged = await staging.addProtected(files, mediaTypes.erofsLayer);
  await staging.put(staged);
  const content = [staged.layer, ...layers.map(({ ztoc }) => ztoc!)];
  const descriptor = await putIndex(to, EROFS_INDEX, content, image.descriptor, options);
  return { descriptor, layers };
}

function cannot({ digest }: Descriptor, why = ''): string {
  return `Cannot index the image as EROFS: of ${digest}, ${why}`;
}

/**
 * The file system of an image by the EROFS index that was put beside it last; undefined where there is none. Files
 * are read when they are asked for, verified: metadata by dm-verity, layers span by span.
 *
 * @throws OciError `OCI_BAD_INDEX`; ErofsError
 */
export async function openErofsIndex(
  { reader, descriptor, manifest }: Image,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Tree | undefined> {
  const beside = await erofsIndexBeside({ reader, descriptor }, options);
  if (beside === undefined) return undefined;
  const { content, descriptor: last } = beside;
  const [files] = content.layers;
  const verity = files && dmverityOf(files);
  if (!files || !verity) throw bad(last, 'it has no EROFS image');
  await using sources = new AsyncDisposableStack();
  const keep = (source: Source): Source => {
    sources.defer(() => source.close?.());
    return source;
  };
  const index = { descriptor: last, ztocs: ztocsOf(content) };
  const devices: Source[] = [];
  for (const layer of manifest.layers) {
    const known = await readLayerIndex(reader, index, layer, options);
    if (known === undefined) throw bad(last, `it says nothing of ${layer.digest}`);
    devices.push(keep(openIndexedLayer(known, openBlob(reader, layer), { sha256 })));
  }
  const digest = (bytes: Uint8Array) => hash('sha256', bytes, 'buffer');
  const stored = keep(cachedSource(openBlob(reader, files)));
  const place = { ...verity, size: verity.hashOffset, digest };
  const tree = await openErofs(verifiedSource(stored, place), { devices });
  const kept = sources.move();
  return Object.assign(tree, { close: () => kept.disposeAsync() });
}

function bad({ digest }: Descriptor, why: string): OciError {
  return new OciError('OCI_BAD_INDEX', `Cannot use the index ${digest}: ${why}`);
}
