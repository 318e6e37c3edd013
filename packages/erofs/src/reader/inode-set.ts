import { ErofsError } from '../errors.ts';

/** Inodes of a page: those of 64 KiB of metadata, where they are as small as they can be. */
const PAGE = 2048;
/** Pages at most: 128 MiB of memory, for 32 GiB of metadata. */
const MAX_PAGES = 2 ** 19;

/**
 * Inodes by their numbers. A bit is what each takes where they lie close together, as they do in images: there may be
 * more of them than a `Set` holds.
 */
export class InodeSet {
  readonly #pages = new Map<number, Uint32Array>();
  readonly #maxPages: number;
  /** The page used last: the next inode mostly lies there, too. */
  #number = -1;
  #page: Uint32Array | undefined;

  constructor(maxPages = MAX_PAGES) {
    this.#maxPages = maxPages;
  }

  has(nid: number): boolean {
    const at = this.#turnTo(nid);
    return this.#page !== undefined && (this.#page[at >>> 5]! & (1 << at)) !== 0;
  }

  /** @throws ErofsError `EROFS_UNSUPPORTED` where inodes lie so far apart that the set becomes too large */
  add(nid: number): void {
    const at = this.#turnTo(nid);
    this.#page ??= this.#newPage();
    this.#page[at >>> 5]! |= 1 << at;
  }

  /** Makes the page of an inode the present one, if there is one, and gives the inode's place in it. */
  #turnTo(nid: number): number {
    const number = Math.floor(nid / PAGE);
    if (number !== this.#number) {
      this.#number = number;
      this.#page = this.#pages.get(number);
    }
    return nid % PAGE;
  }

  #newPage(): Uint32Array {
    if (this.#pages.size >= this.#maxPages) {
      throw new ErofsError(
        'EROFS_UNSUPPORTED',
        `Cannot load all metadata: inodes lie in more than ${this.#maxPages} places`,
        { hint: 'mount it through FUSE, which loads what is looked at' },
      );
    }
    const page = new Uint32Array(PAGE / 32);
    this.#pages.set(this.#number, page);
    return page;
  }
}
