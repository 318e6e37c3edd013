import { viewOf } from '@anole/bytes';
import {
  ADVISE_BIG_PCLUSTER_1,
  ADVISE_BIG_PCLUSTER_2,
  ADVISE_COMPACTED_2B,
  ADVISE_FRAGMENT,
  ADVISE_INLINE,
  CLUSTER_WHOLE_FRAGMENT,
  FULL_INDEX_GAP,
  FULL_INDEX_SIZE,
  FullIndex,
  INDEX_BLOCK_COUNT,
  INDEX_PARTIAL_REF,
  lclusterTypes,
  MAP_HEADER_SIZE,
  MapHeader,
  mapHeaderOffset,
} from '../../layout/compression.ts';
import { algorithms } from '../../layout/compression-config.ts';
import type { Compressed } from './compressed.ts';
import { EXTENT_IS_PARTIAL, EXTENT_IS_PLAIN } from './piece.ts';

/** A pack of indexes of four bytes holds 2, one of those of two bytes 16. */
const PAIR = 2;
const PACK = 16;
/** Packs of 16 begin at multiples of this. */
const PACK_SIZE = 32;
const PAIR_SIZE = 8;

/** How many indexes are in pairs before, in packs, and in pairs after. */
interface Division {
  readonly before: number;
  readonly packed: number;
  readonly after: number;
}

function divide(count: number, start: number, blockBits: number): Division {
  if (blockBits > 12) return { before: 0, packed: 0, after: count };
  const before = ((PACK_SIZE - (start % PACK_SIZE)) % PACK_SIZE) / 4;
  if (before >= count) return { before: 0, packed: 0, after: count };
  const packed = Math.floor((count - before) / PACK) * PACK;
  return { before, packed, after: count - before - packed };
}

/** Bytes of map header and indexes, and of the gap before them, after `end` bytes of the inode. */
export function indexesSize(compressed: Compressed, end: number): number {
  const header = mapHeaderOffset(end) + MAP_HEADER_SIZE;
  if (compressed.wholeFragment) return header - end;
  if (compressed.places)
    return header + FULL_INDEX_GAP + compressed.lclusters * FULL_INDEX_SIZE - end;
  const { before, packed, after } = divide(compressed.lclusters, header, compressed.blockBits);
  return header - end + before * 4 + packed * 2 + Math.ceil(after / PAIR) * PAIR_SIZE;
}

/** What {@link indexesSize} counts. `startBlock` is that of the first pcluster. */
export function encodeIndexes(compressed: Compressed, end: number, startBlock: number): Uint8Array {
  const out = new Uint8Array(indexesSize(compressed, end));
  const at = mapHeaderOffset(end) - end;
  writeHeader(out.subarray(at), compressed);
  if (compressed.wholeFragment) return out;
  const lclusters = lclustersOf(compressed, startBlock);
  if (compressed.places) {
    writeFullIndexes(out.subarray(at + MAP_HEADER_SIZE + FULL_INDEX_GAP), lclusters);
    return out;
  }
  const start = mapHeaderOffset(end) + MAP_HEADER_SIZE;
  const { before, packed } = divide(compressed.lclusters, start, compressed.blockBits);
  let to = at + MAP_HEADER_SIZE;
  for (let first = 0; first < compressed.lclusters; ) {
    const count = first >= before && first < before + packed ? PACK : PAIR;
    const size = count === PACK ? PACK_SIZE : PAIR_SIZE;
    writePack(out.subarray(to, to + size), lclusters, first, count, compressed);
    first += count;
    to += size;
  }
  return out;
}

function writeHeader(out: Uint8Array, compressed: Compressed): void {
  const { fragmentOffset, inlineSize, wholeFragment, big, blockBits, places } = compressed;
  const view = viewOf(out);
  if (wholeFragment) {
    view.setBigUint64(0, BigInt(fragmentOffset ?? 0), true);
    out[7] = out[7]! | CLUSTER_WHOLE_FRAGMENT;
    return;
  }
  let advise = blockBits <= 12 && places === undefined ? ADVISE_COMPACTED_2B : 0;
  if (big) advise |= ADVISE_BIG_PCLUSTER_1 | ADVISE_BIG_PCLUSTER_2;
  if (fragmentOffset !== undefined) advise |= ADVISE_FRAGMENT;
  if (inlineSize > 0) advise |= ADVISE_INLINE;
  MapHeader.write(view, 0, {
    fragmentOffset: fragmentOffset ?? inlineSize * 2 ** 16,
    advise,
    algorithms: algorithms[compressed.algorithm],
    clusterBits: 0,
  });
}

/** What begins in each lcluster. */
interface Lclusters {
  readonly types: Uint8Array;
  /** Of heads the byte where they begin; of others the way back, or the blocks of the pcluster. */
  readonly low: Uint16Array;
  /** Of others the way on to the next head. */
  readonly ahead: Uint16Array;
  /** Of heads, and of the first after a head, the block of the pcluster. */
  readonly blocks: Uint32Array;
  /** Of heads, whether the pcluster holds more. */
  readonly partial: Uint8Array;
}

function lclustersOf(compressed: Compressed, startBlock: number): Lclusters {
  const { extents, blockBits, lclusters: count, big, places, firstBlock } = compressed;
  const blockSize = 2 ** blockBits;
  const types = new Uint8Array(count);
  const low = new Uint16Array(count);
  const ahead = new Uint16Array(count);
  const blocks = new Uint32Array(count);
  const partial = new Uint8Array(count);
  let position = 0;
  let block = startBlock;
  for (let extent = 0; extent < extents.length; extent += 3) {
    const end = position + extents[extent]!;
    const place = places?.[extent / 3];
    if (place !== undefined) block = startBlock + place - firstBlock;
    const head = Math.floor(position / blockSize);
    const next = Math.floor(end / blockSize);
    const taken = Math.ceil(extents[extent + 1]! / blockSize);
    const flags = extents[extent + 2]!;
    types[head] = flags & EXTENT_IS_PLAIN ? lclusterTypes.plain : lclusterTypes.head1;
    partial[head] = flags & EXTENT_IS_PARTIAL;
    low[head] = position % blockSize;
    // Of fragments, readers of full indexes take it for the high half of an offset.
    blocks[head] = taken === 0 ? 0 : block;
    for (let index = head + 1; index < next; index++) {
      const back = index - head;
      types[index] = lclusterTypes.nonhead;
      low[index] =
        back === 1 && big ? INDEX_BLOCK_COUNT | taken : Math.min(back, INDEX_BLOCK_COUNT - 1);
      ahead[index] = Math.min(next - index, INDEX_BLOCK_COUNT - 1);
      blocks[index] = block;
    }
    block += taken;
    position = end;
    // The end of the file inside an lcluster that no head begins in looks like a head.
    if (next > head && next < count) {
      low[next] = end % blockSize;
      blocks[next] = block;
    }
  }
  return { types, low, ahead, blocks, partial };
}

/** One record for each lcluster: pclusters may lie anywhere. */
function writeFullIndexes(
  out: Uint8Array,
  { types, low, ahead, blocks, partial }: Lclusters,
): void {
  const view = viewOf(out);
  for (let index = 0; index < types.length; index++) {
    const nonhead = types[index] === lclusterTypes.nonhead;
    FullIndex.write(view, index * FULL_INDEX_SIZE, {
      advise: types[index]! | (partial[index]! > 0 ? INDEX_PARTIAL_REF : 0),
      clusterOffset: nonhead ? 0 : low[index]!,
      block: nonhead ? low[index]! + ahead[index]! * 2 ** 16 : blocks[index]!,
    });
  }
}

function writePack(
  out: Uint8Array,
  { types, low, ahead, blocks }: Lclusters,
  first: number,
  count: number,
  { blockBits, big }: Compressed,
): void {
  const lowBits = Math.max(blockBits, 12);
  const bits = (out.length * 8 - 32) / count;
  const end = Math.min(first + count, types.length);
  let base: number | undefined;
  for (let index = first; index < end; index++) {
    const nonhead = types[index] === lclusterTypes.nonhead;
    const counts = nonhead && (low[index]! & INDEX_BLOCK_COUNT) !== 0;
    const last = index === first + count - 1;
    const value = last && nonhead && !counts ? ahead[index]! : low[index]!;
    putBits(out, (index - first) * bits, (types[index]! << lowBits) | value);
    // Readers count on from the base: before big pclusters a head counts itself, later it does not.
    if (!nonhead || counts) base ??= big ? blocks[index]! : blocks[index]! - 1;
  }
  viewOf(out).setUint32(out.length - 4, (base ?? 0) >>> 0, true);
}

/** Ors a value of up to 16 bits in, low bits first. */
function putBits(out: Uint8Array, position: number, value: number): void {
  const at = position >> 3;
  const shifted = value << (position & 7);
  out[at] = out[at]! | (shifted & 0xff);
  out[at + 1] = out[at + 1]! | ((shifted >> 8) & 0xff);
  if (shifted > 0xffff) out[at + 2] = out[at + 2]! | (shifted >> 16);
}
