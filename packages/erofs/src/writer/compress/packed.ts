import type { TreeNode } from '@anole/vfs';
import { compareBytes } from '../../compare-bytes.ts';
import { xxh32 } from '../../xxh32.ts';
import { Inode } from '../inode.ts';
import type { Spool } from './spool.ts';

/** The packed inode while it grows: ends of files one after another, each content once. */
export class Packed {
  readonly #spool: Spool;
  /** Places by hash and length. */
  readonly #known = new Map<string, number[]>();
  size = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /** Where `bytes` lie: they are added unless they are there. */
  async place(bytes: Uint8Array): Promise<number> {
    const key = `${xxh32(bytes)}.${bytes.length}`;
    const places = this.#known.get(key) ?? [];
    for (const place of places) {
      if (compareBytes(await this.#spool.read(place, bytes.length), bytes) === 0) return place;
    }
    const place = this.size;
    await this.#spool.write(place, bytes);
    this.size += bytes.length;
    places.push(place);
    this.#known.set(key, places);
    return place;
  }

  /** As an inode that no directory names. */
  inode(ino: number, time: Inode['mtime']): Inode {
    const { size } = this;
    const read = (offset: number, length: number) =>
      this.#spool.read(offset, Math.max(Math.min(length, size - offset), 0));
    const node = { ...unnamed, read } as unknown as TreeNode;
    const inode = new Inode({
      node,
      type: 'file',
      mode: 0o777,
      uid: 0,
      gid: 0,
      size,
      mtime: time,
      rdev: undefined,
      ino,
      name: 'the packed inode',
      above: undefined,
    });
    inode.nlink = 1;
    return inode;
  }
}

const unnamed = {};
