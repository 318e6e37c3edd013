import { createHash } from 'node:crypto';
import type { Source } from '@anole/bytes';
import { applyMembers, MemoryTree, readTar, sliceSource, type Tree } from '@anole/vfs';
import type { Image } from '../content.ts';
import { OciError } from '../errors.ts';
import { type LayerIndex, openIndexedLayer } from '../layer-index.ts';
import type { Descriptor } from '../manifest.ts';
import { LayerApplier, type LayersOptions } from './layers.ts';
import { openBlob } from './open-blob.ts';

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

/** Gives what is known of a layer, undefined for one that has to be read whole. */
export type FindIndex = (layer: Descriptor) => Promise<LayerIndex | undefined>;

/**
 * The file system of an image whose layers have indexes: names and attributes are there at once, the
 * bytes of files are fetched when they are read, verified span by span. Layers without an index are
 * unpacked into scratch files as `imageTree` does.
 *
 * The tree is what the indexes say it is: `checkLayerIndex` says whether they speak the truth.
 *
 * @throws OciError, TarError, VfsError
 */
export async function indexedTree(
  image: Image,
  findIndex: FindIndex,
  options: LayersOptions,
): Promise<Tree> {
  await using resources = new AsyncDisposableStack();
  const tree = new MemoryTree();
  const whole = resources.use(new LayerApplier(tree, image, options));
  for (const [at, layer] of image.manifest.layers.entries()) {
    const index = await findIndex(layer);
    if (index === undefined) await whole.apply(layer, image.config.diffIds[at]);
    else {
      const source = openIndexedLayer(index, openBlob(image.reader, layer), { sha256 });
      resources.defer(() => source.close?.());
      applyMembers(tree, index.members, ({ path, dataOffset, storedSize }) => {
        if (dataOffset + storedSize <= source.size) {
          return sliceSource(source, dataOffset, storedSize);
        }
        throw new OciError(
          'OCI_BAD_INDEX',
          `Cannot use the index of ${layer.digest}: ${JSON.stringify(path)} lies outside of it`,
        );
      });
    }
  }
  const kept = resources.move();
  return Object.assign(tree, { close: () => kept.disposeAsync() });
}

/**
 * Reads a whole layer through its index, and compares what the index says with what is there: the
 * digest of the archive, and every member of it.
 *
 * @throws OciError `OCI_WRONG_CONTENT` where the index is not that of the layer; AnoleError for spans
 * that are not those of their digests
 */
export async function checkLayerIndex(
  index: LayerIndex,
  stored: Source,
  diffId: string | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const source = openIndexedLayer(index, stored, { sha256 });
  const hash = createHash('sha256');
  async function* archive(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < source.size; at += CHUNK) {
      signal?.throwIfAborted();
      const bytes = await source.read(at, Math.min(CHUNK, source.size - at));
      hash.update(bytes);
      yield bytes.slice();
    }
  }
  let at = 0;
  for await (const entry of readTar(archive())) {
    const told = index.members[at++];
    if (told === undefined || !isSame(told, entry)) {
      throw wrong(`it tells another thing of ${JSON.stringify(entry.path)}`);
    }
  }
  if (at !== index.members.length) throw wrong(`it has ${index.members.length - at} more members`);
  const met = `sha256:${hash.digest('hex')}`;
  if (diffId?.startsWith('sha256:') && met !== diffId) {
    throw wrong(`the layer has the digest ${met} through it, not ${diffId}`);
  }
}

const CHUNK = 1024 * 1024;

type Member = LayerIndex['members'][number];

function isSame(a: Member, b: Member): boolean {
  return describeMember(a) === describeMember(b);
}

function describeMember(member: Member): string {
  const { path, type, mode, uid, gid, mtime, size, target, rdev, dataOffset } = member;
  const xattrs = [...member.xattrs].map(([name, value]) => [
    name,
    Buffer.from(value).toString('hex'),
  ]);
  // Only files have bytes to find.
  const place = type === 'file' && size > 0 ? dataOffset : 0;
  return JSON.stringify([
    path,
    type,
    mode,
    uid,
    gid,
    mtime,
    size,
    target,
    rdev,
    place,
    xattrs.sort(),
  ]);
}

function wrong(why: string): OciError {
  return new OciError('OCI_WRONG_CONTENT', `Cannot trust the index of a layer: ${why}`);
}
