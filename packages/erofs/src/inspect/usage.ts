import { type Awaitable, type Flow, flow, wait } from '@anole/bytes';
import { BlockClaims, Budget } from '../check/claims.ts';
import type { Algorithm } from '../layout/compression-config.ts';
import type { Mapping } from '../reader/mapping.ts';
import type { ErofsNode, ErofsTree } from '../reader/tree.ts';

/** How bytes of files are stored. */
export type Storage = Algorithm | 'plain' | 'inline' | 'fragment' | 'hole';

export interface StorageUsage {
  /** Bytes of files. */
  bytes: number;
  /** Bytes of the image that hold them, those shared with others counted once. */
  stored: number;
  /** Pieces in which they lie. */
  extents: number;
}

/** What data take, by how they are stored. */
export type Usage = Partial<Record<Storage, StorageUsage>>;

/** Steps of looking for shared blocks: as in a check. */
const STEPS = 100_000_000;

/** Measures what files take. Blocks that several files use count for the first that is measured. */
export class UsageMeter {
  readonly #blocks = new Map<number, BlockClaims>();
  readonly #budget = new Budget(STEPS);
  readonly #blockSize: number;

  constructor(tree: ErofsTree) {
    this.#blockSize = tree.info.blockSize;
  }

  /** @throws ErofsError as `ErofsNode.read`, of where its data lie only: none are read */
  measure(node: ErofsNode, into: Usage = {}): Awaitable<Usage> {
    return flow(() => this.#measure(node, into));
  }

  *#measure(node: ErofsNode, into: Usage): Flow<Usage> {
    const { size } = node.stat;
    for (let at = 0; at < size; ) {
      const mapping = yield* wait(node.mapping(at));
      const { kind, algorithm, length } = mapping;
      const plain = kind === 'device' ? 'plain' : kind === 'inode' ? 'inline' : kind;
      const storage = algorithm ?? plain;
      into[storage] ??= { bytes: 0, stored: 0, extents: 0 };
      const usage = into[storage];
      usage.bytes += length;
      usage.extents++;
      usage.stored += this.#stored(mapping, node);
      at = mapping.offset + length;
    }
    return into;
  }

  /** Bytes that are taken for these alone. */
  #stored({ kind, algorithm, device, start, size }: Mapping, node: ErofsNode): number {
    if (kind === 'inode') return size;
    if (kind !== 'device') return 0;
    const isWhole = start % this.#blockSize === 0 && size % this.#blockSize === 0;
    // Compressed data may lie several in a block; of other files the last block is taken whole.
    if (algorithm !== undefined && !isWhole) return size;
    const use = node.layout === 'chunked' ? 'chunk' : 'run';
    if (this.#blocksOf(device).claim(start, size, use) !== 'new') return 0;
    return Math.ceil(size / this.#blockSize) * this.#blockSize;
  }

  #blocksOf(device: number): BlockClaims {
    let claims = this.#blocks.get(device);
    if (claims === undefined) {
      claims = new BlockClaims(this.#blockSize, this.#budget);
      this.#blocks.set(device, claims);
    }
    return claims;
  }
}

/** Sums of a usage. */
export function totalOf(usage: Usage): StorageUsage {
  const total = { bytes: 0, stored: 0, extents: 0 };
  for (const { bytes, stored, extents } of Object.values(usage)) {
    total.bytes += bytes;
    total.stored += stored;
    total.extents += extents;
  }
  return total;
}
