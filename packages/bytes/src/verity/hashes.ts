import type { Awaitable } from '../awaitable.ts';
import { BytesBudget, type Kept } from '../bytes-cache.ts';
import { AnoleError } from '../errors.ts';
import { checkRange, type ReadOptions, type Source } from '../source.ts';
import {
  DIGESTS_PER_BLOCK,
  VERITY_BLOCK,
  VERITY_DIGEST,
  type VerityShape,
  verityShape,
} from './layout.ts';

/** Where hashes lie, and from where they are trusted. */
export interface VerityPlace {
  /** Bytes of the data: a multiple of 4096. */
  readonly size: number;
  /** Byte of the Source at which the superblock of the hashes lies. */
  readonly hashOffset: number;
  /** 32 bytes. */
  readonly rootHash: Uint8Array;
  /** SHA-256 of some bytes. */
  digest(bytes: Uint8Array): Awaitable<Uint8Array>;
  /** For hashes that are kept. Default 4 MiB of its own, which stand for 512 MiB of data. */
  readonly memory?: BytesBudget;
}

const MEMORY = 4 * 1024 * 1024;

/**
 * The hashes of dm-verity, by which data are verified wherever they come from. They are read as they
 * are needed, verified up to the root, and kept.
 */
export class VerityHashes {
  readonly #source: Source;
  readonly #place: VerityPlace;
  readonly #shape: VerityShape;
  /** Verified blocks of hashes by their number. */
  readonly #kept = new Map<number, Kept>();
  readonly #memory: BytesBudget;

  /** @throws AnoleError `VERITY_BAD_SIZE`; `SOURCE_OUT_OF_RANGE` where the Source ends before */
  constructor(source: Source, place: VerityPlace) {
    this.#source = source;
    this.#place = place;
    this.#memory = place.memory ?? new BytesBudget(MEMORY);
    this.#shape = verityShape(place.size);
    checkRange(place.hashOffset, this.#shape.blocks * VERITY_BLOCK, source.size);
  }

  /**
   * Verifies whole blocks that are said to lie at `offset` of the data.
   *
   * @throws AnoleError `VERITY_WRONG_DATA`
   */
  async verify(offset: number, bytes: Uint8Array, options: ReadOptions = {}): Promise<void> {
    for (let at = 0; at < bytes.length; at += VERITY_BLOCK) {
      const block = (offset + at) / VERITY_BLOCK;
      await this.#check(bytes.subarray(at, at + VERITY_BLOCK), block, 0, options);
    }
  }

  /**
   * Begins to read all that it takes to verify a range, so that it comes beside the range, and not
   * behind it. For Sources that keep what was read. What fails is met again by `verify`.
   */
  prepare(offset: number, length: number, options: ReadOptions = {}): void {
    let first = Math.floor(offset / VERITY_BLOCK);
    let last = Math.floor((offset + length - 1) / VERITY_BLOCK);
    for (const level of this.#shape.levels) {
      first = Math.floor(first / DIGESTS_PER_BLOCK);
      last = Math.floor(last / DIGESTS_PER_BLOCK);
      let from = level.first + first;
      while (from <= level.first + last && this.#kept.has(from)) from++;
      const count = level.first + last + 1 - from;
      if (count <= 0) continue;
      const at = this.#place.hashOffset + from * VERITY_BLOCK;
      const read = async () => this.#source.read(at, count * VERITY_BLOCK, options);
      read().catch(() => undefined);
    }
  }

  /** Verifies the block that has the place `index` below `level`: the data are below the first. */
  async #check(
    bytes: Uint8Array,
    index: number,
    level: number,
    options: ReadOptions,
  ): Promise<void> {
    const wanted = await this.#digestFor(index, level, options);
    if (equal(wanted, await this.#place.digest(bytes))) return;
    const what = level === 0 ? `block ${index}` : `block ${index} of hashes, level ${level}`;
    throw new AnoleError(
      'VERITY_WRONG_DATA',
      `Cannot trust ${what}: it is not what its hash says`,
      { details: { block: index, level }, hint: 'The data were damaged, or changed by someone.' },
    );
  }

  async #digestFor(index: number, level: number, options: ReadOptions): Promise<Uint8Array> {
    if (level === this.#shape.levels.length) return this.#place.rootHash;
    const parent = Math.floor(index / DIGESTS_PER_BLOCK);
    const block = await this.#hashBlock(parent, level, options);
    const at = (index % DIGESTS_PER_BLOCK) * VERITY_DIGEST;
    return block.subarray(at, at + VERITY_DIGEST);
  }

  async #hashBlock(index: number, level: number, options: ReadOptions): Promise<Uint8Array> {
    const number = this.#shape.levels[level]!.first + index;
    const kept = this.#kept.get(number);
    if (kept !== undefined) {
      this.#memory.use(kept);
      return kept.bytes;
    }
    const at = this.#place.hashOffset + number * VERITY_BLOCK;
    const block = (await this.#source.read(at, VERITY_BLOCK, options)).slice();
    await this.#check(block, index, level + 1, options);
    const piece: Kept = { bytes: block, drop: () => void this.#kept.delete(number) };
    this.#kept.set(number, piece);
    this.#memory.keep(piece);
    return block;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // Once for each block of data: a call for each byte would show.
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}
