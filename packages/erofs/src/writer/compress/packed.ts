import type { Timestamp } from '@anole/vfs';
import { compareBytes } from '../../compare-bytes.ts';
import { xxh32 } from '../../xxh32.ts';
import { ContentIndex } from '../content-index.ts';
import type { Inode } from '../inode.ts';
import { readExactly } from '../read-exactly.ts';
import { unnamedInode } from '../unnamed-inode.ts';
import type { Compressed } from './compressed.ts';
import type { CompressionSettings } from './options.ts';
import type { Spool } from './spool.ts';

/** Larger files do not go into the packed inode: their sizes have 32 bits there. */
export const WHOLE_FRAGMENT_MAX = 2 ** 32 - 1;
/** Files are copied in parts of so many bytes; those of one part are stored once. */
const PART_SIZE = 4 * 1024 * 1024;

/** The packed inode while it grows: ends of files one after another, each content once. */
export class Packed {
  readonly #spool: Spool;
  readonly #known = new ContentIndex();
  size = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /** Where `bytes` lie: they are added unless they are there. */
  async place(bytes: Uint8Array): Promise<number> {
    const hash = xxh32(bytes);
    for (const place of this.#known.find(hash, bytes.length)) {
      if (compareBytes(await this.#spool.read(place, bytes.length), bytes) === 0) return place;
    }
    const place = this.size;
    await this.#spool.write(place, bytes);
    this.size += bytes.length;
    if (place < WHOLE_FRAGMENT_MAX) this.#known.add(hash, bytes.length, place);
    return place;
  }

  /** Takes a whole file. */
  async placeFile(inode: Inode, { variants, blockSize }: CompressionSettings): Promise<Compressed> {
    const { size } = inode;
    let fragmentOffset = this.size;
    if (size <= PART_SIZE) fragmentOffset = await this.place(await readExactly(inode, 0, size));
    else {
      for (let at = 0; at < size; at += PART_SIZE) {
        const part = await readExactly(inode, at, Math.min(PART_SIZE, size - at));
        await this.#spool.write(this.size, part);
        this.size += part.length;
      }
    }
    return {
      algorithm: variants[0]!.algorithm,
      blockBits: Math.log2(blockSize),
      big: false,
      extents: Uint32Array.of(size, 0, 0),
      places: undefined,
      lclusters: Math.ceil(size / blockSize),
      firstBlock: 0,
      blocks: 0,
      inlineSize: 0,
      inlineAt: 0,
      fragmentOffset,
      wholeFragment: true,
    };
  }

  /** As an inode that no directory names. */
  inode(ino: number, time: Timestamp): Inode {
    const { size } = this;
    const read = (offset: number, length: number) =>
      this.#spool.read(offset, Math.max(Math.min(length, size - offset), 0));
    return unnamedInode({ ino, name: 'the packed inode', size, time, read });
  }
}
