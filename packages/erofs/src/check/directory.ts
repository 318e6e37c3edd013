import { AnoleError, decodeName, type Flow } from '@anole/bytes';
import { compareBytes } from '../compare-bytes.ts';
import { damaged } from '../errors.ts';
import { FORMAT_NO_DOT } from '../layout/inode.ts';
import { DirectoryBlock, type Record } from '../reader/directory.ts';
import type { InodeInfo } from '../reader/inode.ts';
import type { OpenedImage } from '../reader/open.ts';
import type { Findings, Place } from './findings.ts';

const NOWHERE = 'Cannot read a directory: its entries are a hole';

/** What a directory lists, as far as it can be read. */
export interface Listing {
  /** Without `.` and `..`. */
  readonly children: readonly Record[];
  /** All entries could be read. */
  readonly complete: boolean;
}

/** Reads a directory block by block and goes on behind what is damaged. */
export class DirectoryCheck {
  readonly #image: OpenedImage;
  readonly #findings: Findings;

  constructor(image: OpenedImage, findings: Findings) {
    this.#image = image;
    this.#findings = findings;
  }

  *list(inode: InodeInfo, parentNid: number, place: Place): Flow<Listing> {
    const { blockSize } = this.#image.info;
    const children: Record[] = [];
    const dots = new Map<string, number>();
    let complete = true;
    let previous: Uint8Array = new Uint8Array(0);
    for (let at = 0; at < inode.stat.size; at += blockSize) {
      const where: { offset?: number | undefined } & Place = { ...place };
      try {
        const { kind, start } = yield* this.#image.data.map(inode, at);
        if (kind === 'hole') throw damaged('EROFS_BAD_INODE', NOWHERE, inode.offset);
        where.offset = start;
        const bytes = new Uint8Array(yield* this.#image.data.read(inode, at, blockSize));
        const block = new DirectoryBlock(bytes, inode);
        for (let index = 0; index < block.count; index++) {
          const record = this.#record(block, index, previous, where);
          complete &&= record !== undefined;
          previous = record?.bytes ?? previous;
          if (record === undefined) continue;
          if (record.name === '.' || record.name === '..') dots.set(record.name, record.nid);
          else children.push(record);
        }
      } catch (thrown) {
        complete = false;
        this.#findings.raised(thrown, where);
        // Where blocks are nowhere the size may be anything.
        if (!AnoleError.is(thrown) || thrown.code !== 'EROFS_BAD_DIRECTORY') break;
      }
    }
    if (complete) this.#dots(inode, dots, parentNid, place);
    return { children, complete };
  }

  #record(
    block: DirectoryBlock,
    index: number,
    previous: Uint8Array,
    place: Place,
  ): (Record & { readonly bytes: Uint8Array }) | undefined {
    try {
      const bytes = block.nameBytes(index);
      const record = block.record(index);
      if (compareBytes(previous, bytes) < 0) return { ...record, bytes };
      throw damaged(
        'EROFS_BAD_DIRECTORY',
        `Cannot look up ${JSON.stringify(decodeName(bytes))}: it is out of order`,
        place.offset ?? 0,
      );
    } catch (thrown) {
      this.#findings.raised(thrown, place);
      return undefined;
    }
  }

  #dots(
    inode: InodeInfo,
    dots: ReadonlyMap<string, number>,
    parentNid: number,
    place: Place,
  ): void {
    const mayLack = (inode.format & FORMAT_NO_DOT) !== 0;
    const wanted = [
      ['.', inode.nid],
      ['..', parentNid],
    ] as const;
    for (const [name, nid] of wanted) {
      const found = dots.get(name);
      if (found === nid || (found === undefined && name === '.' && mayLack)) continue;
      const what = found === undefined ? 'is missing' : `is inode ${found}, not ${nid}`;
      this.#findings.add('EROFS_DOTS', `The entry ${name} ${what}`, place);
    }
  }
}
