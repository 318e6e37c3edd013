import { algorithmNames, algorithms } from '../../layout/compression-config.ts';
import type { Compressed } from './compressed.ts';

/** Words of memory that are taken at once, and bits of an address that say where in them. */
const PAGE_BITS = 16;
const PAGE = 2 ** PAGE_BITS;

/** Words of a record. What its flags say follows, then extents and places. */
const word = {
  /** Bits of the block size, number of the algorithm, {@link flag}s. */
  format: 0,
  extents: 1,
  lclusters: 2,
  firstBlock: 3,
  blocks: 4,
} as const;
const RECORD = 5;

const ALGORITHM_SHIFT = 8;
const flag = {
  big: 1 << 16,
  wholeFragment: 1 << 17,
  /** A size of one word, and where that lies: 64 bits, the low word first. */
  inline: 1 << 18,
  /** An offset of 64 bits. */
  fragment: 1 << 19,
  /** How many there are. */
  places: 1 << 20,
} as const;

/**
 * How compressed files are stored, as rows of words: there may be as many as inodes, and as objects with
 * arrays they take several times the room.
 */
export class CompressedRecords {
  readonly #pages: Uint32Array[] = [];
  /** Words in use of the last page. No address is 0. */
  #used = PAGE;

  /** Keeps a copy. Returns its address: a number of 32 bits other than 0. */
  add(compressed: Compressed): number {
    const { extents, places, fragmentOffset, inlineSize, inlineAt } = compressed;
    const flags =
      (compressed.big ? flag.big : 0) |
      (compressed.wholeFragment ? flag.wholeFragment : 0) |
      (inlineSize > 0 ? flag.inline : 0) |
      (fragmentOffset === undefined ? 0 : flag.fragment) |
      (places === undefined ? 0 : flag.places);
    const size = headOf(flags) + extents.length + (places?.length ?? 0);
    const page = this.#room(size);
    const start = this.#used;
    this.#used += size;
    page[start + word.format] =
      compressed.blockBits | (algorithms[compressed.algorithm] << ALGORITHM_SHIFT) | flags;
    page[start + word.extents] = extents.length;
    page[start + word.lclusters] = compressed.lclusters;
    page[start + word.firstBlock] = compressed.firstBlock;
    page[start + word.blocks] = compressed.blocks;
    let at = start + RECORD;
    if (inlineSize > 0) {
      page[at++] = inlineSize;
      putLong(page, at, inlineAt);
      at += 2;
    }
    if (fragmentOffset !== undefined) {
      putLong(page, at, fragmentOffset);
      at += 2;
    }
    if (places) page[at++] = places.length;
    page.set(extents, at);
    if (places) page.set(places, at + extents.length);
    return (this.#pages.length - 1) * PAGE + start;
  }

  /** What {@link add} was given. Its arrays are views of what is kept. */
  at(address: number): Compressed {
    const page = this.#pages[Math.floor(address / PAGE)]!;
    const start = address % PAGE;
    const format = page[start + word.format]!;
    const has = (one: number) => (format & one) !== 0;
    const inlineAt = start + RECORD;
    const fragmentAt = inlineAt + (has(flag.inline) ? 3 : 0);
    const extentsAt = start + headOf(format);
    const end = extentsAt + page[start + word.extents]!;
    return {
      algorithm: algorithmNames[(format >> ALGORITHM_SHIFT) & 0xff]!,
      blockBits: format & 0xff,
      big: has(flag.big),
      extents: page.subarray(extentsAt, end),
      places: has(flag.places) ? page.subarray(end, end + page[extentsAt - 1]!) : undefined,
      lclusters: page[start + word.lclusters]!,
      firstBlock: page[start + word.firstBlock]!,
      blocks: page[start + word.blocks]!,
      inlineSize: has(flag.inline) ? page[inlineAt]! : 0,
      inlineAt: has(flag.inline) ? longAt(page, inlineAt + 1) : 0,
      fragmentOffset: has(flag.fragment) ? longAt(page, fragmentAt) : undefined,
      wholeFragment: has(flag.wholeFragment),
    };
  }

  /** The last page, where it has room for so many words, or another. */
  #room(size: number): Uint32Array {
    if (this.#used + size > PAGE) {
      // What is larger than a page is alone in one.
      this.#pages.push(new Uint32Array(Math.max(PAGE, size + 1)));
      this.#used = 1;
    }
    return this.#pages.at(-1)!;
  }
}

/** Words in front of the extents. */
function headOf(flags: number): number {
  return (
    RECORD +
    (flags & flag.inline ? 3 : 0) +
    (flags & flag.fragment ? 2 : 0) +
    (flags & flag.places ? 1 : 0)
  );
}

function putLong(words: Uint32Array, at: number, value: number): void {
  words[at] = value % 2 ** 32;
  words[at + 1] = Math.floor(value / 2 ** 32);
}

function longAt(words: Uint32Array, at: number): number {
  return words[at]! + words[at + 1]! * 2 ** 32;
}
