import { encodeName, viewOf } from '@anole/bytes';
import { DeviceSlot } from '@anole/erofs/format';
import { fromHex } from '../hex.ts';
import { ciphers, compressors, digesters } from '../layout/algorithms.ts';
import { BlobEntry } from '../layout/blob.ts';
import { ChunkRecord, chunkFlags } from '../layout/chunk.ts';
import { DEVICE_ALIGN } from '../layout/superblock.ts';
import type { BlobRef, StoredChunk } from './chunks.ts';
import { BLOCK_SIZE } from './scan.ts';

type Info = BlobRef['info'];

/**
 * A device of the address space that follows the bootstrap.
 *
 * @param position byte behind the device before
 * @returns byte behind this one
 */
export function putDevice(view: DataView, at: number, info: Info, position: number): number {
  const start = Math.ceil(position / DEVICE_ALIGN) * DEVICE_ALIGN;
  DeviceSlot.write(view, at, {
    tag: idBytes(info.id),
    blocks: info.uncompressedSize / BLOCK_SIZE,
    unifiedBlock: start / BLOCK_SIZE,
    blocksHigh: 0,
    unifiedBlockHigh: 0,
  });
  return start + info.uncompressedSize;
}

export function putBlob(view: DataView, at: number, info: Info, index: number): void {
  const { meta, metaId, metaSize, key } = info;
  const iv = key?.iv ?? new Uint8Array(16);
  if (metaId !== undefined) viewOf(iv).setBigUint64(0, BigInt(metaSize), true);
  BlobEntry.write(view, at, {
    id: idBytes(info.id),
    index,
    chunkSize: info.chunkSize,
    chunkCount: info.chunkCount,
    compressor: compressors.indexOf(info.compressor),
    digester: digesters.indexOf(info.digester),
    features: info.features,
    compressedSize: info.compressedSize,
    uncompressedSize: info.uncompressedSize,
    tocSize: info.tocSize,
    metaCompressor: compressors.indexOf(meta?.compressor ?? 'none'),
    metaOffset: meta?.offset ?? 0,
    metaCompressedSize: meta?.compressedSize ?? 0,
    metaUncompressedSize: meta?.uncompressedSize ?? 0,
    tocDigest: info.tocDigest,
    metaDigest: key?.key ?? (metaId ? fromHex(metaId) : new Uint8Array(32)),
    metaSize: iv.slice(0, 8),
    cipherIv: iv.slice(8),
    cipher: ciphers.indexOf(info.cipher),
  });
}

export function putChunkRecord(
  view: DataView,
  at: number,
  { chunk, digest }: StoredChunk,
  blobIndex: number,
): void {
  const { part, crc32 } = chunk;
  ChunkRecord.write(view, at, {
    digest,
    blobIndex,
    flags:
      (chunk.compressed ? chunkFlags.compressed : 0) |
      (chunk.encrypted ? chunkFlags.encrypted : 0) |
      (part?.kind === 'batch' ? chunkFlags.batch : 0) |
      (crc32 === undefined ? 0 : chunkFlags.crc32),
    compressedSize: chunk.compressedSize,
    uncompressedSize: chunk.size,
    compressedOffset: chunk.compressedOffset,
    uncompressedOffset: chunk.offset,
    fileOffset: 0,
    index: chunk.index,
    crc32: crc32 ?? 0,
  });
}

function idBytes(id: string): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(encodeName(id));
  return bytes;
}
