import { AnoleError } from '../errors.ts';
import { bytes, pad, u16, u32, u64 } from '../fields.ts';
import { struct } from '../struct.ts';

/** Bytes of a block, of data and of hashes alike: what devices and EROFS images use. */
export const VERITY_BLOCK = 4096;
/** Bytes of a SHA-256. */
export const VERITY_DIGEST = 32;
/** Digests in a block of hashes. */
export const DIGESTS_PER_BLOCK = VERITY_BLOCK / VERITY_DIGEST;

const SIGNATURE = new TextEncoder().encode('verity\0\0');
const ALGORITHM = new TextEncoder().encode('sha256');

/** Source: cryptsetup lib/verity/verity.c, struct verity_sb. Takes the first block of the hashes. */
const VeritySuperblock = struct('verity_sb', 512, {
  signature: bytes(8),
  version: u32,
  /** 1: salt before the data, digests at powers of two. */
  hashType: u32,
  uuid: bytes(16),
  algorithm: bytes(32),
  dataBlockSize: u32,
  hashBlockSize: u32,
  dataBlocks: u64,
  saltSize: u16,
  reserved: pad(6),
  salt: bytes(256),
  reserved2: pad(168),
});

/** How the hashes of some data lie, one level after the other, the smallest first. */
export interface VerityShape {
  readonly dataBlocks: number;
  /** Of each level, that of the data's own digests first: its blocks, and the first of them, counted from the superblock. */
  readonly levels: readonly { readonly first: number; readonly blocks: number }[];
  /** Superblock and all levels. */
  readonly blocks: number;
}

/** @throws AnoleError `VERITY_BAD_SIZE` unless `size` is a positive multiple of the block */
export function verityShape(size: number): VerityShape {
  if (!Number.isSafeInteger(size) || size <= 0 || size % VERITY_BLOCK !== 0) {
    throw new AnoleError(
      'VERITY_BAD_SIZE',
      `Cannot protect ${size} bytes by hashes: data come in whole blocks of ${VERITY_BLOCK} bytes`,
      { details: { size } },
    );
  }
  const dataBlocks = size / VERITY_BLOCK;
  const counts: number[] = [];
  for (let count = dataBlocks; count > 1; ) {
    count = Math.ceil(count / DIGESTS_PER_BLOCK);
    counts.push(count);
  }
  let blocks = 1;
  const levels = counts.reverse().map((count) => {
    const level = { first: blocks, blocks: count };
    blocks += count;
    return level;
  });
  return { dataBlocks, levels: levels.reverse(), blocks };
}

/** The superblock's block, without a salt. `uuid` is 16 bytes. */
export function encodeVeritySuperblock(dataBlocks: number, uuid: Uint8Array): Uint8Array {
  const block = new Uint8Array(VERITY_BLOCK);
  const algorithm = new Uint8Array(32);
  algorithm.set(ALGORITHM);
  block.set(
    VeritySuperblock.encode({
      signature: SIGNATURE,
      version: 1,
      hashType: 1,
      uuid,
      algorithm,
      dataBlockSize: VERITY_BLOCK,
      hashBlockSize: VERITY_BLOCK,
      dataBlocks: BigInt(dataBlocks),
      saltSize: 0,
      salt: new Uint8Array(256),
    }),
  );
  return block;
}
