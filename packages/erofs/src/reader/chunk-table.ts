import { viewOf } from '@anole/bytes';
import { ErofsError } from '../errors.ts';
import {
  BLOCK_MAP_ENTRY_SIZE,
  CHUNK_48BIT,
  CHUNK_BITS_MASK,
  CHUNK_HOLE,
  CHUNK_HOLE_48BIT,
  CHUNK_INDEX_SIZE,
  CHUNK_INDEXES,
  ChunkIndex,
} from '../layout/chunk.ts';
import type { InodeInfo } from './inode.ts';

/** Where the addresses of an inode's chunks stand in its space. */
export interface ChunkTable {
  readonly start: number;
  /** Bytes of an address. */
  readonly unit: number;
  readonly chunkSize: number;
  readonly is48Bit: boolean;
}

/** @throws ErofsError `EROFS_UNSUPPORTED` */
export function chunkTable(inode: InodeInfo, blockSize: number): ChunkTable {
  const format = inode.data & 0xffff;
  const bits = format & CHUNK_BITS_MASK;
  if ((format & ~(CHUNK_BITS_MASK | CHUNK_INDEXES | CHUNK_48BIT)) !== 0) {
    throw new ErofsError(
      'EROFS_UNSUPPORTED',
      `Cannot read inode ${inode.nid}: its chunk format is 0x${format.toString(16)}`,
      { details: { nid: inode.nid, format, offset: inode.offset } },
    );
  }
  const unit = (format & CHUNK_INDEXES) !== 0 ? CHUNK_INDEX_SIZE : BLOCK_MAP_ENTRY_SIZE;
  return {
    start: Math.ceil((inode.xattrOffset + inode.xattrSize) / unit) * unit,
    unit,
    chunkSize: blockSize * 2 ** bits,
    is48Bit: (format & CHUNK_48BIT) !== 0,
  };
}

/** The block of a chunk, undefined for a hole, and the bits that name its device, others among them. */
export function chunkAddress(
  entry: Uint8Array,
  { unit, is48Bit }: ChunkTable,
): { block: number | undefined; device: number } {
  if (unit === BLOCK_MAP_ENTRY_SIZE) {
    const block = viewOf(entry).getUint32(0, true);
    return { block: block === CHUNK_HOLE ? undefined : block, device: 0 };
  }
  const index = ChunkIndex.decode(entry);
  const block = index.block + (is48Bit ? index.blockHigh * 2 ** 32 : 0);
  const isHole = block === (is48Bit ? CHUNK_HOLE_48BIT : CHUNK_HOLE);
  return { block: isHole ? undefined : block, device: index.deviceId };
}
