import { algorithmNames, algorithms } from '../../layout/compression-config.ts';
import type { Compressed } from './compressed.ts';

/** Words of memory that are taken at once, and bits of an address that say where in them. */
const PAGE_BITS = 16;
const PAGE = 2 ** PAGE_BITS;

/** Words of a record. Extents and places follow. */
const word = {
  /** Bits of the block size, number of the algorithm, {@link flag}s. */
  format: 0,
  extents: 1,
  lclusters: 2,
  firstBlock: 3,
  blocks: 4,
  inlineSize: 5,
  /** Of 64 bits, the low word and the high one. */
  inlineAt: 6,
  fragmentOffset: 8,
  /** How many there are. */
  places: 10,
} as const;
const RECORD = 11;

const ALGORITHM_SHIFT = 8;
const flag = { big: 1 << 16, wholeFragment: 1 << 17, fragment: 1 << 18 } as const;

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
    const { extents, places, fragmentOffset, inlineAt, ...rest } = compressed;
    const size = RECORD + extents.length + (places?.length ?? 0);
    if (this.#used + size > PAGE) {
      // What is larger than a page is alone in one.
      this.#pages.push(new Uint32Array(Math.max(PAGE, size + 1)));
      this.#used = 1;
    }
    const page = this.#pages.at(-1)!;
    const at = this.#used;
    this.#used += size;
    page[at + word.format] =
      rest.blockBits |
      (algorithms[rest.algorithm] << ALGORITHM_SHIFT) |
      (rest.big ? flag.big : 0) |
      (rest.wholeFragment ? flag.wholeFragment : 0) |
      (fragmentOffset === undefined ? 0 : flag.fragment);
    page[at + word.extents] = extents.length;
    page[at + word.lclusters] = rest.lclusters;
    page[at + word.firstBlock] = rest.firstBlock;
    page[at + word.blocks] = rest.blocks;
    page[at + word.inlineSize] = rest.inlineSize;
    putLong(page, at + word.inlineAt, inlineAt);
    putLong(page, at + word.fragmentOffset, fragmentOffset ?? 0);
    page[at + word.places] = places?.length ?? 0;
    page.set(extents, at + RECORD);
    if (places) page.set(places, at + RECORD + extents.length);
    return (this.#pages.length - 1) * PAGE + at;
  }

  /** What {@link add} was given. Its arrays are views of what is kept. */
  at(address: number): Compressed {
    const page = this.#pages[Math.floor(address / PAGE)]!;
    const at = address % PAGE;
    const format = page[at + word.format]!;
    const end = at + RECORD + page[at + word.extents]!;
    const places = page[at + word.places]!;
    return {
      algorithm: algorithmNames[(format >> ALGORITHM_SHIFT) & 0xff]!,
      blockBits: format & 0xff,
      big: (format & flag.big) !== 0,
      extents: page.subarray(at + RECORD, end),
      places: places > 0 ? page.subarray(end, end + places) : undefined,
      lclusters: page[at + word.lclusters]!,
      firstBlock: page[at + word.firstBlock]!,
      blocks: page[at + word.blocks]!,
      inlineSize: page[at + word.inlineSize]!,
      inlineAt: longAt(page, at + word.inlineAt),
      fragmentOffset: format & flag.fragment ? longAt(page, at + word.fragmentOffset) : undefined,
      wholeFragment: (format & flag.wholeFragment) !== 0,
    };
  }
}

function putLong(words: Uint32Array, at: number, value: number): void {
  words[at] = value % 2 ** 32;
  words[at + 1] = Math.floor(value / 2 ** 32);
}

function longAt(words: Uint32Array, at: number): number {
  return words[at]! + words[at + 1]! * 2 ** 32;
}
