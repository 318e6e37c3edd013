import { type Flow, type Source, viewOf, wait } from '@anole/bytes';
import type { CipherKey } from '../codecs.ts';
import { damaged, RafsError } from '../errors.ts';
import { toHex } from '../hex.ts';
import {
  CHUNK_SIZE_MAX,
  CHUNK_SIZE_MIN,
  CHUNKS_MAX,
  type Cipher,
  type Compressor,
  ciphers,
  compressors,
  type Digester,
  digesters,
} from '../layout/algorithms.ts';
import {
  BLOB_ENTRY_SIZE,
  BLOBS_MAX,
  BlobEntry,
  blobFeatures,
  FEATURES_INCOMPAT,
  FEATURES_KNOWN,
} from '../layout/blob.ts';

/** Where the table of chunks of a blob lies. */
export interface MetaPlace {
  readonly compressor: Compressor;
  readonly offset: number;
  readonly compressedSize: number;
  readonly uncompressedSize: number;
}

/** A blob as a bootstrap describes it. */
export interface BlobInfo {
  /** From 0. */
  readonly index: number;
  /** Its name: usually the hexadecimal SHA-256 of its bytes. */
  readonly id: string;
  readonly chunkSize: number;
  readonly chunkCount: number;
  readonly compressor: Compressor;
  readonly digester: Digester;
  readonly cipher: Cipher;
  readonly features: number;
  readonly compressedSize: number;
  readonly uncompressedSize: number;
  /** Undefined where the chunks are described in the bootstrap only. */
  readonly meta: MetaPlace | undefined;
  /** The blob that its tables lie in, where that is another one; '' where it is the bootstrap's. */
  readonly metaId: string | undefined;
  /** Bytes of that blob, 0 where nobody said. */
  readonly metaSize: number;
  readonly tocSize: number;
  readonly tocDigest: Uint8Array;
  readonly key: CipherKey | undefined;
}

/** Most bytes of a blob, decoded and as it is. Source: nydus v6.rs, BLOB_MAX_SIZE_*. */
const UNCOMPRESSED_MAX = 2 ** 44;
const COMPRESSED_MAX = 2 ** 40;

/** @throws RafsError `RAFS_BAD_BLOB`, `RAFS_UNSUPPORTED` */
export function* readBlobTable(source: Source, offset: number, size: number): Flow<BlobInfo[]> {
  if (size === 0) return [];
  const count = size / BLOB_ENTRY_SIZE;
  if (!Number.isInteger(count) || count > BLOBS_MAX) throw bad(0, `its table has ${size} bytes`);
  if (offset + size > source.size) throw bad(0, 'its table ends outside the bootstrap');
  const bytes = new Uint8Array(yield* wait(source.read(offset, size)));
  const view = viewOf(bytes);
  const blobs: BlobInfo[] = [];
  for (let index = 0; index < count; index++) {
    const blob = blobOf(BlobEntry.read(view, index * BLOB_ENTRY_SIZE), index);
    if (blobs.some(({ id }) => id === blob.id)) throw bad(index, `its name ${blob.id} is taken`);
    blobs.push(blob);
  }
  return blobs;
}

type Entry = ReturnType<typeof BlobEntry.read>;

function blobOf(entry: Entry, index: number): BlobInfo {
  if (entry.index !== index) throw bad(index, `it says that its number is ${entry.index}`);
  const { features, chunkSize, chunkCount, compressedSize, uncompressedSize } = entry;
  checkFeatures(features, index);
  checkChunkSize(chunkSize, index);
  if (chunkCount > CHUNKS_MAX) throw bad(index, `it has ${chunkCount} chunks`);
  if (uncompressedSize > UNCOMPRESSED_MAX || compressedSize > COMPRESSED_MAX) {
    throw bad(index, `it has ${compressedSize} and decoded ${uncompressedSize} bytes`);
  }
  const cipher = choose(ciphers, entry.cipher, index, 'cipher');
  const separate = (features & blobFeatures.separate) !== 0;
  const inlined = (features & blobFeatures.inlinedFsMeta) !== 0;
  return {
    index,
    id: idOf(entry.id, index),
    chunkSize,
    chunkCount,
    compressor: choose(compressors, entry.compressor, index, 'compressor'),
    digester: choose(digesters, entry.digester, index, 'digester'),
    cipher,
    features,
    compressedSize,
    uncompressedSize,
    meta: metaOf(entry, index),
    metaId: separate ? (inlined ? '' : toHex(entry.metaDigest)) : undefined,
    metaSize: separate ? sizeIn(entry.metaSize) : 0,
    tocSize: entry.tocSize,
    tocDigest: entry.tocDigest,
    key: cipher === 'none' ? undefined : keyOf(entry),
  };
}

function metaOf(entry: Entry, index: number): MetaPlace | undefined {
  const { metaOffset: offset, metaCompressedSize: compressedSize, metaUncompressedSize } = entry;
  if (metaUncompressedSize === 0) return undefined;
  if (compressedSize > metaUncompressedSize) {
    throw bad(index, 'its table of chunks is larger compressed than decoded');
  }
  const compressor = choose(compressors, entry.metaCompressor, index, 'compressor');
  return { compressor, offset, compressedSize, uncompressedSize: metaUncompressedSize };
}

function keyOf({ metaDigest, metaSize, cipherIv }: Entry): CipherKey {
  const iv = new Uint8Array(16);
  iv.set(metaSize);
  iv.set(cipherIv, 8);
  return { key: metaDigest, iv };
}

/** A number of 64 bits. */
function sizeIn(bytes: Uint8Array): number {
  return Number(viewOf(bytes).getBigUint64(0, true));
}

/** Names are printed, and looked for in directories and registries: nothing but plain ones will do. */
function idOf(bytes: Uint8Array, index: number): string {
  const end = bytes.indexOf(0);
  return checkBlobId(String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end))), index);
}

/** @throws RafsError `RAFS_BAD_BLOB` */
export function checkBlobId(id: string, index: number): string {
  if (/^\w[\w.-]*$/.test(id)) return id;
  throw bad(index, `its name is ${JSON.stringify(id.slice(0, 80))}`);
}

/** @throws RafsError `RAFS_BAD_BLOB` */
function checkChunkSize(size: number, index: number): void {
  if (isChunkSize(size)) return;
  throw bad(index, `its chunks have ${size} bytes`);
}

export function isChunkSize(size: number): boolean {
  return size >= CHUNK_SIZE_MIN && size <= CHUNK_SIZE_MAX && Number.isInteger(Math.log2(size));
}

function checkFeatures(features: number, index: number): void {
  const unknown = features & FEATURES_INCOMPAT & ~FEATURES_KNOWN;
  if (unknown === 0) return;
  throw new RafsError(
    'RAFS_UNSUPPORTED',
    `Cannot use blob ${index}: it has the feature 0x${unknown.toString(16)}`,
    { details: { index, features } },
  );
}

function choose<T>(list: readonly T[], number: number, index: number, what: string): T {
  const found = list[number];
  if (found !== undefined) return found;
  throw new RafsError('RAFS_UNSUPPORTED', `Cannot use blob ${index}: its ${what} is ${number}`, {
    details: { index, [what]: number },
  });
}

function bad(index: number, reason: string): RafsError {
  return damaged('RAFS_BAD_BLOB', `Cannot use blob ${index}: ${reason}`, { index });
}
