import { builtInDecoders } from '../../codecs.ts';
import { type Algorithm, algorithmNames, algorithms } from '../../layout/compression-config.ts';
import { type DecodeContext, decodePiece } from '../../reader/compressed/decode.ts';
import { PLAIN } from '../../reader/compressed/piece.ts';
import { xxh32 } from '../../xxh32.ts';
import { ContentIndex } from '../content-index.ts';
import { RollingHash } from './rolling-hash.ts';

/** A pcluster that is stored. */
export interface StoredPcluster {
  /** First block among the compressed data. */
  readonly place: number;
  /** Bytes stored, before padding. */
  readonly size: number;
  /** Bytes of content that files refer to, from the first on. */
  readonly length: number;
  /** Of what is not compressed undefined. */
  readonly algorithm: Algorithm | undefined;
  /** What is stored decodes to more than `length` bytes. */
  readonly partial: boolean;
}

/** A pcluster whose content begins with the bytes at `at`, of which `length` are the same. */
export interface Match {
  readonly at: number;
  readonly length: number;
  readonly pcluster: StoredPcluster;
}

/** Numbers of a record: place, size, length, and format with whether it is partial. */
const RECORD = 4;
const PARTIAL = 0x100;
/** Place of what was given up. */
const NOWHERE = 0xffffffff;
/** Contents that are compared for one search at most: much of what begins the same ends soon. */
const COMPARED_MAX = 16;
/** So many pclusters that begin the same are remembered. */
const ALIKE_MAX = 4;

/**
 * Contents of pclusters that are stored already, found at any byte of other data: by a hash of their
 * first block that rolls along, a second one, and at last by decoding what is stored. It keeps about
 * 40 bytes for each.
 */
export class KnownPclusters {
  readonly #read: (offset: number, length: number) => Promise<Uint8Array>;
  readonly #blockSize: number;
  readonly #rolling: RollingHash;
  readonly #index = new ContentIndex();
  readonly #context: DecodeContext;
  #records = new Uint32Array(RECORD * 1024);
  #count = 0;
  #decoded: { readonly record: number; readonly bytes: Uint8Array } | undefined;

  /** @param read gives stored bytes */
  constructor(read: (offset: number, length: number) => Promise<Uint8Array>, blockSize: number) {
    this.#read = read;
    this.#blockSize = blockSize;
    this.#rolling = new RollingHash(blockSize);
    this.#context = { nid: 0, blockSize, decoders: builtInDecoders, zeroPadding: true };
  }

  /** Remembers a pcluster that begins with the content at byte `at`; of less than a block nothing. */
  add(bytes: Uint8Array, at: number, pcluster: StoredPcluster): void {
    const { place, size, length, algorithm, partial } = pcluster;
    if (length < this.#blockSize) return;
    const hash = this.#rolling.of(bytes, at);
    const second = this.#second(bytes, at);
    let alike = 0;
    for (const _ of this.#index.find(hash, second)) if (++alike >= ALIKE_MAX) return;
    if ((this.#count + 1) * RECORD > this.#records.length) {
      const more = new Uint32Array(this.#records.length * 2);
      more.set(this.#records);
      this.#records = more;
    }
    const format = algorithm === undefined ? PLAIN : algorithms[algorithm];
    this.#records.set(
      [place, size, length, format | (partial ? PARTIAL : 0)],
      this.#count * RECORD,
    );
    this.#index.add(hash, second, this.#count++);
    this.#rolling.mark(hash);
  }

  /** Those from here on can be forgotten. */
  get count(): number {
    return this.#count;
  }

  /** Forgets all but the first `count`: what they were in was given up. */
  forget(count: number): void {
    for (let record = count; record < this.#count; record++)
      this.#records[record * RECORD] = NOWHERE;
  }

  /**
   * The first place from byte `from` on, before `to`, at which a known content begins that is worth it.
   *
   * @param end of what may be referred to
   * @param isWorth is asked of what is found
   */
  async find(
    bytes: Uint8Array,
    range: { readonly from: number; readonly to: number; readonly end: number },
    isWorth: (match: Match) => boolean,
  ): Promise<Match | undefined> {
    const rolling = this.#rolling;
    const last = Math.min(range.to - 1, range.end - this.#blockSize);
    if (range.from > last) return undefined;
    rolling.begin(bytes, range.from);
    for (let compared = 0; compared < COMPARED_MAX; rolling.step()) {
      const at = rolling.seek(last);
      if (at > last) break;
      const { hash } = rolling;
      if (!this.#index.has(hash)) continue;
      let best: Match | undefined;
      for (const record of this.#index.find(hash, this.#second(bytes, at))) {
        compared++;
        const match = await this.#compare(bytes, at, range.end, record);
        if (match && match.length > (best?.length ?? 0)) best = match;
      }
      if (best && isWorth(best)) return best;
    }
    return undefined;
  }

  #second(bytes: Uint8Array, at: number): number {
    return xxh32(bytes.subarray(at, at + this.#blockSize));
  }

  async #compare(
    bytes: Uint8Array,
    at: number,
    end: number,
    record: number,
  ): Promise<Match | undefined> {
    const base = record * RECORD;
    const [place, size, length, flags] = this.#records.subarray(base, base + RECORD) as unknown as [
      number,
      number,
      number,
      number,
    ];
    if (place === NOWHERE) return undefined;
    const content = await this.#content(record, place, size, length, flags & ~PARTIAL);
    const most = Math.min(length, end - at);
    let same = 0;
    while (same < most && content[same] === bytes[at + same]) same++;
    if (same < this.#blockSize) return undefined;
    return {
      at,
      length: same,
      pcluster: {
        place,
        size,
        length: same,
        algorithm: algorithmNames[flags & ~PARTIAL],
        partial: (flags & PARTIAL) !== 0 || same < length,
      },
    };
  }

  /** What a pcluster decodes to. */
  async #content(
    record: number,
    place: number,
    size: number,
    length: number,
    format: number,
  ): Promise<Uint8Array> {
    if (this.#decoded?.record === record) return this.#decoded.bytes;
    const stored = Math.ceil(size / this.#blockSize) * this.#blockSize;
    const input = await this.#read(place * this.#blockSize, stored);
    const bytes = new Uint8Array(length);
    const piece = {
      offset: 0,
      length,
      kind: 'image',
      start: 0,
      size,
      format,
      partial: true,
    } as const;
    await decodePiece(piece, input, bytes, this.#context);
    this.#decoded = { record, bytes };
    return bytes;
  }
}
