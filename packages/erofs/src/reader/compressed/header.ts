import { type Flow, viewOf } from '@anole/bytes';
import { damaged } from '../../errors.ts';
import {
  ADVISE_BIG_PCLUSTER_1,
  ADVISE_BIG_PCLUSTER_2,
  ADVISE_EXTENTS,
  ADVISE_FRAGMENT,
  ADVISE_INLINE,
  ADVISE_INTERLACED,
  CLUSTER_BITS_MASK,
  CLUSTER_WHOLE_FRAGMENT,
  MAP_HEADER_SIZE,
  MapHeader,
  mapHeaderOffset,
} from '../../layout/compression.ts';
import { layouts } from '../../layout/inode.ts';
import type { InodeInfo } from '../inode.ts';
import type { ImageInfo } from '../superblock.ts';

/** What stands before the indexes of a compressed inode. */
export interface CompressionHeader {
  /** The whole file lies at this byte of the packed inode, and there are no indexes. */
  readonly wholeFragment: number | undefined;
  readonly advise: number;
  /** Bits of the size of an lcluster. */
  readonly lclusterBits: number;
  /** Records instead of indexes, so many. */
  readonly extents: number | undefined;
  /** Numbers of the algorithms of lclusters of type head1 and head2. */
  readonly head1: number;
  readonly head2: number;
  /** Byte of the packed inode at which the last extent lies; of full indexes the low 32 bits. */
  readonly fragment: number | undefined;
  /** Bytes of the last pcluster, which lies after the indexes; 0 where there is none. */
  readonly inlineSize: number;
  readonly interlaced: boolean;
  /** Byte after the header, in the space in which the inode lies. */
  readonly end: number;
}

/** @throws ErofsError `EROFS_BAD_INODE`, `EROFS_OUT_OF_RANGE` */
export function* readCompressionHeader(inode: InodeInfo, info: ImageInfo): Flow<CompressionHeader> {
  const offset = mapHeaderOffset(inode.xattrOffset + inode.xattrSize);
  const bytes = yield* inode.space.read(offset, MAP_HEADER_SIZE, 'a compression header');
  const view = viewOf(bytes);
  const { advise, algorithms, clusterBits, fragmentOffset } = MapHeader.read(view);
  const end = offset + MAP_HEADER_SIZE;
  if ((clusterBits & CLUSTER_WHOLE_FRAGMENT) !== 0) {
    return wholeFragment(view.getBigUint64(0, true), offset, end);
  }
  const isFull = inode.layout === layouts.compressedFull;
  const hasExtents = isFull && (advise & ADVISE_EXTENTS) !== 0;
  const hasFragment = (advise & ADVISE_FRAGMENT) !== 0;
  const hasInline = !hasFragment && (advise & ADVISE_INLINE) !== 0;
  const isBig1 = (advise & ADVISE_BIG_PCLUSTER_1) !== 0;
  const isBig2 = (advise & ADVISE_BIG_PCLUSTER_2) !== 0;
  if (!isFull && isBig1 !== isBig2) {
    throw damaged(
      'EROFS_BAD_INODE',
      `Cannot read inode ${inode.nid}: its two heads differ in the size of pclusters`,
      offset,
    );
  }
  return {
    wholeFragment: undefined,
    advise,
    lclusterBits: Math.log2(info.blockSize) + (clusterBits & CLUSTER_BITS_MASK),
    extents: hasExtents ? fragmentOffset + (algorithms | (clusterBits << 8)) * 2 ** 32 : undefined,
    head1: algorithms & 15,
    head2: algorithms >> 4,
    fragment: hasFragment ? fragmentOffset : undefined,
    inlineSize: hasInline && !hasExtents ? fragmentOffset >>> 16 : 0,
    interlaced: (advise & ADVISE_INTERLACED) !== 0,
    end,
  };
}

function wholeFragment(header: bigint, offset: number, end: number): CompressionHeader {
  const start = header & (2n ** 63n - 1n);
  if (start > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw damaged('EROFS_BAD_INODE', `Cannot read a fragment at byte ${start}`, offset);
  }
  return {
    wholeFragment: Number(start),
    advise: 0,
    lclusterBits: 0,
    extents: undefined,
    head1: 0,
    head2: 0,
    fragment: undefined,
    inlineSize: 0,
    interlaced: false,
    end,
  };
}
