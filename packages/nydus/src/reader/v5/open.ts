import { BytesCache, type Flow, flow, type Source, viewOf, wait } from '@anole/bytes';
import { damaged, RafsError } from '../../errors.ts';
import { algorithmsOf, superFlags } from '../../layout/algorithms.ts';
import { BLOBS_MAX } from '../../layout/blob.ts';
import {
  V5_ROOT,
  V5_SUPERBLOCK_SIZE,
  V5_VERSION,
  V5ExtendedBlob,
  V5Superblock,
} from '../../layout/v5.ts';
import { RafsBlob } from '../blob.ts';
import { type BlobInfo, checkBlobId, isChunkSize } from '../blob-info.ts';
import type { RafsImage, Settings } from '../image.ts';
import { Once } from '../once.ts';
import { V5Inodes } from './inodes.ts';
import { V5Node } from './node.ts';
import { gatherRecords } from './records.ts';

type Superblock = ReturnType<typeof V5Superblock.read>;

/** Entries of the prefetch table at most: it is read whole. */
const PREFETCH_MAX = 2 ** 20;
const COMPRESSORS =
  superFlags.compressionNone |
  superFlags.compressionLz4 |
  superFlags.compressionGzip |
  superFlags.compressionZstd;
const DIGESTERS = superFlags.blake3 | superFlags.sha256;

/** Bytes of a blob's name, with what is before and behind it, at most. */
const BLOB_NAME_MAX = 128;

/**
 * An image of RAFS v5, whose bootstrap has a form of its own.
 *
 * @throws RafsError `RAFS_BAD_BOOTSTRAP`, `RAFS_BAD_BLOB`, `RAFS_UNSUPPORTED`, `RAFS_BAD_INODE`
 */
export function* openV5(source: Source, settings: Settings): Flow<RafsImage> {
  if (source.size < V5_SUPERBLOCK_SIZE) throw bad('it is cut off');
  const superblock = V5Superblock.read(viewOf(yield* wait(source.read(0, V5Superblock.size))));
  checkSuperblock(superblock);
  const { flags, blockSize: chunkSize } = superblock;
  const { compressor, digester, cipher } = algorithmsOf(withDefaults(flags));
  if (compressor === undefined || digester === undefined) {
    throw bad(`its flags are 0x${flags.toString(16)}`);
  }
  const common = { chunkSize, compressor, digester };
  const infos = yield* readBlobs(source, superblock, common);
  const inodes = new V5Inodes(source, superblock.inodeTableOffset, superblock.inodeTableEntries);
  const records = new Once(() => flow(() => gatherRecords(inodes, infos.length)));
  const { resolve, codecs } = settings;
  const cache = new BytesCache(settings.decodedCache);
  const blobs = infos.map((info) => new RafsBlob(info, { resolve, codecs, cache, records }));
  const node = (number: number) =>
    flow(function* () {
      return new V5Node(yield* inodes.read(number), inodes, blobs);
    });
  const root = new V5Node(yield* inodes.read(V5_ROOT), inodes, blobs);
  if (root.stat.type !== 'directory') throw bad(`its root is a ${root.stat.type}`);
  return {
    version: 5,
    root,
    blobs,
    chunkSize,
    compressor,
    digester,
    cipher,
    flags,
    inodes: superblock.inodes,
    prefetch: () => flow(() => readPrefetch(source, superblock)),
    node,
  };
}

/**
 * The first images say neither how their chunks are compressed nor by what they are proven: it was LZ4 and BLAKE3
 * (Nydus, `rafs/src/metadata/mod.rs`, conversions of `RafsSuperFlags`).
 */
function withDefaults(flags: number): number {
  const compressor = (flags & COMPRESSORS) === 0 ? superFlags.compressionLz4 : 0;
  const digester = (flags & DIGESTERS) === 0 ? superFlags.blake3 : 0;
  return flags | compressor | digester;
}

function checkSuperblock({ version, size, blockSize }: Superblock): void {
  if (version !== V5_VERSION) {
    throw new RafsError(
      'RAFS_UNSUPPORTED',
      `Cannot open the image: its version is 0x${version.toString(16)}`,
      { details: { version } },
    );
  }
  if (size !== V5_SUPERBLOCK_SIZE || !isChunkSize(blockSize)) {
    throw bad(`its superblock has ${size} bytes, its chunks ${blockSize}`);
  }
}

/** Each a number of bytes to read ahead from where, then a name, which a NUL ends. */
function* readBlobs(
  source: Source,
  superblock: Superblock,
  common: Pick<BlobInfo, 'chunkSize' | 'compressor' | 'digester'>,
): Flow<readonly BlobInfo[]> {
  const { blobTableOffset: offset, blobTableSize: size, extendedBlobEntries } = superblock;
  if (size > BLOBS_MAX * BLOB_NAME_MAX || offset + size > source.size) {
    throw bad(`its blob table has ${size} bytes`);
  }
  const bytes = new Uint8Array(yield* wait(source.read(offset, size)));
  const infos: BlobInfo[] = [];
  for (let at = 0; at + 8 < bytes.length; ) {
    const end = bytes.indexOf(0, at + 8);
    const name = bytes.subarray(at + 8, end < 0 ? bytes.length : end);
    const index = infos.length;
    const extended =
      extendedBlobEntries === 0 ? undefined : yield* readExtended(source, superblock, index);
    infos.push({
      index,
      id: checkBlobId(String.fromCharCode(...name), index),
      ...common,
      chunkCount: extended?.chunkCount ?? 0,
      cipher: 'none',
      features: extended?.features ?? 0,
      compressedSize: extended?.compressedSize ?? 0,
      uncompressedSize: extended?.uncompressedSize ?? 0,
      meta: undefined,
      metaId: undefined,
      metaSize: 0,
      tocSize: 0,
      tocDigest: new Uint8Array(32),
      key: undefined,
    });
    // Padding to a multiple of 8 looks like the end of the last name.
    at = end < 0 ? bytes.length : end + 1;
    if (bytes.length - at < 8) break;
  }
  return infos;
}

function* readExtended(
  source: Source,
  { extendedBlobOffset, extendedBlobEntries }: Superblock,
  index: number,
) {
  const at = extendedBlobOffset + index * V5ExtendedBlob.size;
  if (index >= extendedBlobEntries || at + V5ExtendedBlob.size > source.size) {
    throw bad(`blob ${index} has no entry in its second table`);
  }
  return V5ExtendedBlob.read(viewOf(yield* wait(source.read(at, V5ExtendedBlob.size))));
}

function* readPrefetch(
  source: Source,
  { prefetchTableOffset: offset, prefetchTableEntries: count }: Superblock,
): Flow<readonly number[]> {
  if (count === 0) return [];
  if (count > PREFETCH_MAX || offset + count * 4 > source.size) {
    throw bad(`its prefetch table has ${count} entries`);
  }
  const view = viewOf(yield* wait(source.read(offset, count * 4)));
  return Array.from({ length: count }, (_, at) => view.getUint32(at * 4, true));
}

function bad(reason: string): RafsError {
  return damaged('RAFS_BAD_BOOTSTRAP', `Cannot open the image: ${reason}`);
}
