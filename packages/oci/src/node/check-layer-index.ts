import { createHash, type Hash } from 'node:crypto';
import type { Source } from '@anole/bytes';
import { readTar } from '@anole/vfs';
import { OciError } from '../errors.ts';
import { type LayerIndex, openIndexedLayer } from '../layer-index.ts';
import type { Descriptor } from '../manifest.ts';
import { layerCompressionOf } from '../media-types.ts';
import { isOwnName } from '../toc/chunked-toc.ts';
import { decompress } from './decompress.ts';
import { sha256 } from './indexed-tree.ts';
import { DEFAULT_MAX_LAYER } from './layers.ts';
import { readSourceRange } from './read-range.ts';

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
    if (told === undefined || !isSame(told, entry)) throw tellsOther(entry);
  }
  if (at !== index.members.length) throw wrong(`it has ${index.members.length - at} more members`);
  if (diffId?.startsWith('sha256:') && !isOf(diffId, hash.copy())) {
    const met = `sha256:${hash.digest('hex')}`;
    throw wrong(`the layer has the digest ${met} through it, not ${diffId}`);
  }
}

/** Zeros that may fill the last record of an archive. */
const FILLING = 1024 * 1024;

/**
 * Whether what was hashed is the archive of a digest, or all of it but zeros behind its end: SOCI's builder does not
 * count what fills the last record.
 */
function isOf(diffId: string, hash: Hash): boolean {
  const zeros = new Uint8Array(512);
  for (let filled = 0; filled <= FILLING; filled += zeros.length) {
    if (diffId === `sha256:${hash.copy().digest('hex')}`) return true;
    hash.update(zeros);
  }
  return false;
}

/**
 * Compares a layer with the table of contents that it has in itself: what each says of every member, and the bytes
 * of every file. That the layer is that of its digests is not looked at.
 *
 * @throws as {@link checkLayerIndex}
 */
export async function checkTocIndex(
  { mediaType }: Pick<Descriptor, 'mediaType'>,
  index: LayerIndex,
  stored: Source,
  signal?: AbortSignal,
): Promise<void> {
  const source = openIndexedLayer(index, stored, { sha256 });
  const options = signal ? { signal } : {};
  const bytes = readSourceRange(stored, options);
  const archive = decompress(bytes, layerCompressionOf(mediaType), DEFAULT_MAX_LAYER);
  let next = 0;
  for await (const entry of readTar(archive, options)) {
    if (isOwnName(entry.path)) continue;
    const told = index.members[next++];
    if (told === undefined || !isSame(told, rounded(entry, told))) throw tellsOther(entry);
    if (entry.type !== 'file') continue;
    let at = told.dataOffset;
    for await (const piece of entry.body()) {
      if (Buffer.compare(await source.read(at, piece.length), piece) !== 0) {
        throw wrong(`it leads to other bytes of ${JSON.stringify(entry.path)}`);
      }
      at += piece.length;
    }
  }
  const left = index.members.length - next;
  if (left !== 0) throw wrong(`it has ${left} more members`);
}

/** A member as its table may have it: in another place, its time to the nearest second. */
function rounded(member: Member, { dataOffset, mtime: told }: Member): Member {
  const { mtime } = member;
  const seconds = mtime.seconds + (mtime.nanoseconds >= 500_000_000 ? 1 : 0);
  const isRounded = told.nanoseconds === 0 && told.seconds === seconds;
  return { ...member, dataOffset, mtime: isRounded ? told : mtime };
}

function tellsOther({ path }: Member): OciError {
  return wrong(`it tells another thing of ${JSON.stringify(path)}`);
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
