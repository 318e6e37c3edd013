import type { Algorithm } from '../../layout/compression-config.ts';

/** How a file is stored that is stored compressed, or lies in the packed inode. */
export interface Compressed {
  readonly algorithm: Algorithm;
  readonly blockBits: number;
  /** Pclusters may have more than one block. */
  readonly big: boolean;
  /**
   * For each pcluster: bytes of the file, bytes stored before padding, and 1 where those are not
   * compressed. Of a fragment nothing is stored.
   */
  readonly extents: Uint32Array;
  /** Blocks of the file, the last partial one among them. */
  readonly lclusters: number;
  /** Byte of the spool at which the blocks lie, and after them the tail. */
  readonly spooled: number;
  /** Whole blocks in the spool. */
  readonly blocks: number;
  /** Stored bytes of a last pcluster that may lie beside the inode, or 0. */
  readonly tailSize: number;
  /** Of those as many as do: all or none. The plan decides. */
  inlineSize: number;
  /** Byte of the packed inode at which the end of the file lies. */
  readonly fragmentOffset: number | undefined;
  /** Nothing but the fragment is there. */
  readonly wholeFragment: boolean;
}

/** A pcluster in whole blocks: what is compressed ends, what is not begins where they do. */
export function padded(bytes: Uint8Array, plain: boolean, blockSize: number): Uint8Array {
  const size = Math.ceil(bytes.length / blockSize) * blockSize;
  if (size === bytes.length) return bytes;
  const out = new Uint8Array(size);
  out.set(bytes, plain ? 0 : size - bytes.length);
  return out;
}

/** Whether the last pcluster is stored as it is. */
export function endsPlain({ extents }: Compressed): boolean {
  return extents.at(-1) === 1;
}
