import { BytesCache, chain, type Flow, flow, type Source, viewOf, wait } from '@anole/bytes';
import { openErofs } from '@anole/erofs';
import { COMPAT_RAFS, SUPERBLOCK_MAGIC, SUPERBLOCK_OFFSET, Superblock } from '@anole/erofs/format';
import { damaged, RafsError } from '../errors.ts';
import { algorithmsOf } from '../layout/algorithms.ts';
import {
  DEVICE_TABLE_OFFSET,
  EXTENDED_OFFSET,
  EXTENDED_SIZE,
  ExtendedSuperblock,
  INCOMPAT_RAFS,
} from '../layout/superblock.ts';
import { RafsBlob } from './blob.ts';
import { isChunkSize, readBlobTable } from './blob-info.ts';
import { readChunkRecords } from './chunk-records.ts';
import type { RafsImage, Settings } from './image.ts';
import { Once } from './once.ts';
import { V6Node } from './v6-node.ts';

/** Entries of the prefetch table at most: it is read whole. */
const PREFETCH_MAX = 2 ** 20;

/**
 * An image whose bootstrap is an EROFS image with an extended superblock.
 *
 * @throws RafsError `RAFS_BAD_BOOTSTRAP`, `RAFS_BAD_BLOB`, `RAFS_UNSUPPORTED`; ErofsError
 */
export function* openV6(source: Source, settings: Settings): Flow<RafsImage> {
  if (source.size < DEVICE_TABLE_OFFSET) throw bad('it is cut off');
  const base = viewOf(yield* wait(source.read(SUPERBLOCK_OFFSET, Superblock.size)));
  if (Superblock.at(base).magic !== SUPERBLOCK_MAGIC) throw bad('it is no EROFS image');
  const head = viewOf(yield* wait(source.read(EXTENDED_OFFSET, EXTENDED_SIZE)));
  const extended = ExtendedSuperblock.read(head);
  const { flags, chunkSize } = extended;
  const { compressor, digester, cipher } = algorithmsOf(flags);
  if (!isChunkSize(chunkSize) || compressor === undefined || digester === undefined) {
    throw bad(`its flags are 0x${flags.toString(16)}, its chunks have ${chunkSize} bytes`);
  }
  const infos = yield* readBlobTable(source, extended.blobTableOffset, extended.blobTableSize);
  const { chunkTableOffset, chunkTableSize } = extended;
  const records = new Once(() =>
    flow(() => readChunkRecords(source, chunkTableOffset, chunkTableSize, infos.length)),
  );
  const { resolve, codecs } = settings;
  const cache = new BytesCache(settings.decodedCache);
  const blobs = infos.map((info) => new RafsBlob(info, { resolve, codecs, cache, records }));
  const tree = yield* wait(openErofs(source, { devices: blobs }));
  const { featureCompat, featureIncompat, extraDevices, inodes } = tree.info;
  if ((featureCompat & COMPAT_RAFS) === 0 || featureIncompat !== INCOMPAT_RAFS) {
    throw new RafsError('RAFS_UNSUPPORTED', 'Cannot open the image: it is EROFS, but not RAFS', {
      details: { featureCompat, featureIncompat },
    });
  }
  if (extraDevices !== blobs.length) {
    throw bad(`it has ${extraDevices} devices and ${blobs.length} blobs`);
  }
  return {
    version: 6,
    root: new V6Node(tree.root, blobs),
    blobs,
    chunkSize,
    compressor,
    digester,
    cipher,
    flags,
    inodes: Number(inodes),
    prefetch: () => flow(() => readPrefetch(source, extended)),
    node: (nid) => chain(tree.node(nid), (inode) => new V6Node(inode, blobs)),
  };
}

type Extended = ReturnType<typeof ExtendedSuperblock.read>;

function* readPrefetch(
  source: Source,
  { prefetchTableOffset: offset, prefetchTableSize: size }: Extended,
): Flow<readonly number[]> {
  // Old images without files have a size, but no place.
  if (size === 0 || offset === 0) return [];
  const count = size / 4;
  if (!Number.isInteger(count) || count > PREFETCH_MAX || offset + size > source.size) {
    throw bad(`its prefetch table has ${size} bytes`);
  }
  const view = viewOf(yield* wait(source.read(offset, size)));
  return Array.from({ length: count }, (_, at) => view.getUint32(at * 4, true));
}

function bad(reason: string): RafsError {
  return damaged('RAFS_BAD_BOOTSTRAP', `Cannot open the image: ${reason}`);
}
