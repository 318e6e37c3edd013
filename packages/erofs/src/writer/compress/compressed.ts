import type { Algorithm } from '../../layout/compression-config.ts';

/** How a file is stored that is stored compressed, or lies in the packed inode. */
export interface Compressed {
  readonly algorithm: Algorithm;
  readonly blockBits: number;
  /** Pclusters may have more than one block. */
  readonly big: boolean;
  /**
   * For each pcluster: bytes of the file, bytes stored before padding, and flags as those of a piece.
   * Of a fragment nothing is stored.
   */
  readonly extents: Uint32Array;
  /**
   * Block of the compressed data at which each pcluster begins, where they are not all one after
   * another: some are shared with other files.
   */
  readonly places: Uint32Array | undefined;
  /** Blocks of the file, the last partial one among them. */
  readonly lclusters: number;
  /** Block of the compressed data at which its first one begins, and how many blocks all have. */
  readonly firstBlock: number;
  readonly blocks: number;
  /** Stored bytes of a last pcluster that lies beside the inode, or 0. */
  readonly inlineSize: number;
  /** Byte of the scratch file for those at which they lie; 0 where there are none. */
  readonly inlineAt: number;
  /** Byte of the packed inode at which the end of the file lies. */
  readonly fragmentOffset: number | undefined;
  /** Nothing but the fragment is there. */
  readonly wholeFragment: boolean;
}

/** What is known of it before a file is compressed whose pclusters are to lie one after another: how long its indexes are. */
export function plannedCompressed(size: number, blockSize: number): Compressed {
  return {
    algorithm: 'lz4',
    blockBits: Math.log2(blockSize),
    big: false,
    extents: new Uint32Array(0),
    places: undefined,
    lclusters: Math.ceil(size / blockSize),
    firstBlock: 0,
    blocks: 0,
    inlineSize: 0,
    inlineAt: 0,
    fragmentOffset: undefined,
    wholeFragment: false,
  };
}
