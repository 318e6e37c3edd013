import { viewOf } from '@anole/bytes';
import {
  COMPAT_RAFS,
  DEVICE_SLOT_SIZE,
  SUPERBLOCK_MAGIC,
  SUPERBLOCK_OFFSET,
  Superblock,
} from '@anole/erofs/format';
import { RafsError } from '../errors.ts';
import { flagsOf, superFlags } from '../layout/algorithms.ts';
import { BLOB_ENTRY_SIZE, BLOBS_MAX, blobFeatures } from '../layout/blob.ts';
import { CHUNK_RECORD_SIZE } from '../layout/chunk.ts';
import {
  DEVICE_TABLE_OFFSET,
  EXTENDED_OFFSET,
  ExtendedSuperblock,
  INCOMPAT_RAFS,
  TABLE_ALIGN,
} from '../layout/superblock.ts';
import type { BlobRef, StoredChunk } from './chunks.ts';
import type { Inode } from './inode.ts';
import type { Settings } from './options.ts';
import { putInode } from './put-inode.ts';
import { putBlob, putChunkRecord, putDevice } from './put-tables.ts';
import { BLOCK_SIZE } from './scan.ts';

/** All that a bootstrap is made from. */
export interface BootstrapPlan {
  /** Laid out, with their chunks. */
  readonly inodes: readonly Inode[];
  readonly names: number;
  /** What `layOut` gave. */
  readonly inodesEnd: number;
  /** In the order of the blob table. */
  readonly blobs: readonly BlobRef[];
  /** Nids. */
  readonly prefetch: readonly number[];
  readonly settings: Pick<Settings, 'compressor' | 'digester' | 'chunkSize' | 'key'>;
}

/**
 * The bytes of a bootstrap: superblocks, devices, blobs, inodes to be read ahead, inodes, chunks.
 * Source: nydus builder/src/core/v6.rs, v6_dump.
 *
 * @throws RafsError `RAFS_CANNOT_STORE` where there are too many blobs
 */
export function encodeBootstrap(plan: BootstrapPlan): Uint8Array {
  const { blobs, inodes } = plan;
  if (blobs.length > BLOBS_MAX) {
    throw new RafsError('RAFS_CANNOT_STORE', `Cannot refer to ${blobs.length} blobs`, {
      hint: `at most ${BLOBS_MAX} fit: use fewer dictionaries or layers`,
    });
  }
  const places = placesOf(plan);
  const indexOf = new Map(blobs.map((blob, index) => [blob, index]));
  const chunks = chunksOf(inodes, indexOf);
  const inodesEnd = aligned(places.metaOffset + plan.inodesEnd);
  const end = aligned(inodesEnd + chunks.length * CHUNK_RECORD_SIZE);
  const bytes = new Uint8Array(end);
  const view = viewOf(bytes);
  for (const inode of inodes) {
    putInode(bytes, inode, { ...places, indexOf, chunkSize: plan.settings.chunkSize });
  }
  chunks.forEach((chunk, at) => {
    putChunkRecord(view, inodesEnd + at * CHUNK_RECORD_SIZE, chunk, indexOf.get(chunk.blob)!);
  });
  let position = end;
  blobs.forEach(({ info }, index) => {
    position = putDevice(view, DEVICE_TABLE_OFFSET + index * DEVICE_SLOT_SIZE, info, position);
    putBlob(view, places.blobTable + index * BLOB_ENTRY_SIZE, info, index);
  });
  plan.prefetch.forEach((nid, at) => {
    view.setUint32(places.prefetchTable + at * 4, nid, true);
  });
  putSuperblock(view, plan, places.metaOffset);
  const chunkTable = { offset: inodesEnd, size: chunks.length * CHUNK_RECORD_SIZE };
  putExtended(view, plan, places, chunkTable);
  return bytes;
}

interface Places {
  readonly blobTable: number;
  readonly prefetchTable: number;
  /** What is to be added to offsets of inodes. */
  readonly metaOffset: number;
}

function placesOf({ blobs, prefetch }: BootstrapPlan): Places {
  const blobTable = aligned(DEVICE_TABLE_OFFSET + blobs.length * DEVICE_SLOT_SIZE);
  const prefetchTable = blobTable + blobs.length * BLOB_ENTRY_SIZE;
  // Without data the first block is enough: inodes begin with the second one either way.
  if (blobs.length === 0) return { blobTable, prefetchTable, metaOffset: 0 };
  return { blobTable, prefetchTable, metaOffset: aligned(prefetchTable + prefetch.length * 4) };
}

/** Each chunk of each blob once, in the order of their digests. */
function chunksOf(
  inodes: readonly Inode[],
  indexOf: ReadonlyMap<BlobRef, number>,
): readonly StoredChunk[] {
  const chunks = new Set<StoredChunk>();
  for (const inode of inodes) for (const chunk of inode.chunks) chunks.add(chunk);
  return [...chunks].sort(
    (a, b) => compareBytes(a.digest, b.digest) || indexOf.get(a.blob)! - indexOf.get(b.blob)!,
  );
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return 0;
}

function putSuperblock(view: DataView, plan: BootstrapPlan, metaOffset: number): void {
  const { blobs, inodes, names } = plan;
  const blocks = blobs.reduce((sum, { info }) => sum + info.uncompressedSize / BLOCK_SIZE, 0);
  Superblock.write(view, SUPERBLOCK_OFFSET, {
    magic: SUPERBLOCK_MAGIC,
    checksum: 0,
    featureCompat: COMPAT_RAFS,
    blockBits: Math.log2(BLOCK_SIZE),
    extensionSlots: 0,
    rootNid: inodes[0]!.nid,
    inodes: BigInt(names),
    epoch: 0,
    fixedNanoseconds: 0,
    blocks,
    metaBlock: metaOffset / BLOCK_SIZE,
    xattrBlock: 0,
    uuid: new Uint8Array(16),
    volumeName: new Uint8Array(16),
    featureIncompat: INCOMPAT_RAFS,
    compressionAlgorithms: 0,
    extraDevices: blobs.length,
    deviceTableSlot: DEVICE_TABLE_OFFSET / DEVICE_SLOT_SIZE,
    directoryBlockBits: 0,
    xattrPrefixCount: 0,
    xattrPrefixStart: 0,
    packedNid: 0n,
    xattrFilterReserved: 0,
    digestPrefix: 0,
    buildTime: 0,
    rootNid64: 0n,
  });
}

function putExtended(
  view: DataView,
  { blobs, inodes, prefetch, settings }: BootstrapPlan,
  places: Places,
  chunkTable: { readonly offset: number; readonly size: number },
): void {
  const { digester, chunkSize, key } = settings;
  const isReference = blobs.length > 0 && blobs.every(({ info }) => info.compressor === 'gzip');
  const compressor = isReference ? 'gzip' : settings.compressor;
  const hasXattrs = inodes.some(({ xattrs }) => xattrs.length > 0);
  const digests = blobs.every(
    ({ info }) => (info.features & blobFeatures.inlinedChunkDigest) !== 0,
  );
  ExtendedSuperblock.write(view, EXTENDED_OFFSET, {
    flags:
      flagsOf(compressor, digester, key ? 'aes128xts' : 'none') |
      superFlags.explicitOwners |
      (hasXattrs ? superFlags.hasXattrs : 0) |
      (digests ? superFlags.inlinedChunkDigest : 0),
    flagsHigh: 0,
    blobTableOffset: places.blobTable,
    blobTableSize: blobs.length * BLOB_ENTRY_SIZE,
    chunkSize,
    chunkTableOffset: chunkTable.offset,
    chunkTableSize: chunkTable.size,
    prefetchTableOffset: prefetch.length === 0 ? 0 : places.prefetchTable,
    prefetchTableSize: prefetch.length * 4,
  });
}

function aligned(offset: number): number {
  return Math.ceil(offset / TABLE_ALIGN) * TABLE_ALIGN;
}
