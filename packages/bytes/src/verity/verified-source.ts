import type { Awaitable } from '../awaitable.ts';
import { AnoleError } from '../errors.ts';
import { checkRange, type ReadOptions, type Source } from '../source.ts';
import {
  DIGESTS_PER_BLOCK,
  VERITY_BLOCK,
  VERITY_DIGEST,
  type VerityShape,
  verityShape,
} from './layout.ts';

export interface VerifiedOptions {
  /** Bytes of the data, which lie at the beginning: a multiple of 4096. */
  readonly size: number;
  /** Byte at which the superblock of the hashes lies. */
  readonly hashOffset: number;
  /** 32 bytes, from where they are trusted. */
  readonly rootHash: Uint8Array;
  /** SHA-256 of some bytes. */
  digest(bytes: Uint8Array): Awaitable<Uint8Array>;
}

/** Blocks of hashes that are kept: 4 MiB, which stand for 512 MiB of data. */
const KEPT = 1024;

/**
 * Data in front of dm-verity's hashes, verified as they are read: what comes is what the root hash
 * stands for, or an error. Hashes are read as they are needed, from the same Source, and kept.
 * Reads get whole blocks, so a cache in front of this one saves most.
 *
 * @throws AnoleError `VERITY_BAD_SIZE`; `SOURCE_OUT_OF_RANGE` where the Source ends before the hashes
 */
export function verifiedSource(inner: Source, options: VerifiedOptions): Source {
  return new VerifiedSource(inner, options);
}

class VerifiedSource implements Source {
  readonly size: number;
  readonly #inner: Source;
  readonly #options: VerifiedOptions;
  readonly #shape: VerityShape;
  /** Verified blocks of hashes by their number, the longest unused first. */
  readonly #hashes = new Map<number, Uint8Array>();

  constructor(inner: Source, options: VerifiedOptions) {
    this.size = options.size;
    this.#inner = inner;
    this.#options = options;
    this.#shape = verityShape(options.size);
    checkRange(options.hashOffset, this.#shape.blocks * VERITY_BLOCK, inner.size);
  }

  /** @throws AnoleError `VERITY_WRONG_DATA` */
  async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    checkRange(offset, length, this.size);
    if (length === 0) return new Uint8Array(0);
    const first = Math.floor(offset / VERITY_BLOCK);
    const end = Math.ceil((offset + length) / VERITY_BLOCK);
    const from = first * VERITY_BLOCK;
    const bytes = await this.#inner.read(from, (end - first) * VERITY_BLOCK, options);
    for (let block = first; block < end; block++) {
      const at = block * VERITY_BLOCK - from;
      await this.#verify(bytes.subarray(at, at + VERITY_BLOCK), block, 0, options);
    }
    return bytes.subarray(offset - from, offset - from + length);
  }

  close(): Awaitable<void> {
    this.#hashes.clear();
    return this.#inner.close?.();
  }

  /** Verifies the block that has the place `index` below `level`: the data are below the first. */
  async #verify(
    bytes: Uint8Array,
    index: number,
    level: number,
    options: ReadOptions,
  ): Promise<void> {
    const wanted = await this.#digestFor(index, level, options);
    const met = await this.#options.digest(bytes);
    if (equal(wanted, met)) return;
    const what = level === 0 ? `block ${index}` : `block ${index} of hashes, level ${level}`;
    throw new AnoleError(
      'VERITY_WRONG_DATA',
      `Cannot trust ${what}: it is not what its hash says`,
      { details: { block: index, level }, hint: 'The data were damaged, or changed by someone.' },
    );
  }

  async #digestFor(index: number, level: number, options: ReadOptions): Promise<Uint8Array> {
    if (level === this.#shape.levels.length) return this.#options.rootHash;
    const parent = Math.floor(index / DIGESTS_PER_BLOCK);
    const block = await this.#hashBlock(parent, level, options);
    const at = (index % DIGESTS_PER_BLOCK) * VERITY_DIGEST;
    return block.subarray(at, at + VERITY_DIGEST);
  }

  async #hashBlock(index: number, level: number, options: ReadOptions): Promise<Uint8Array> {
    const number = this.#shape.levels[level]!.first + index;
    const kept = this.#hashes.get(number);
    if (kept !== undefined) {
      this.#hashes.delete(number);
      this.#hashes.set(number, kept);
      return kept;
    }
    const at = this.#options.hashOffset + number * VERITY_BLOCK;
    const block = (await this.#inner.read(at, VERITY_BLOCK, options)).slice();
    await this.#verify(block, index, level + 1, options);
    this.#hashes.set(number, block);
    for (const oldest of this.#hashes.keys()) {
      if (this.#hashes.size <= KEPT) break;
      this.#hashes.delete(oldest);
    }
    return block;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
