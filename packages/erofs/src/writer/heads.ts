import { isPromise } from '@anole/bytes';
import { INODE_SLOT } from '../layout/inode.ts';
import { IN_METABOX } from '../layout/nid.ts';
import { encodeTable } from './chunks.ts';
import { appendCompressedHead } from './compress/emit.ts';
import { directoryBlocks } from './directory.ts';
import type { Inode } from './inode.ts';
import { coreSize } from './measure.ts';
import { encodeInode } from './metadata.ts';
import type { ImagePart, Output } from './output.ts';
import { byPlace } from './places.ts';
import { headSize, type Plan } from './plan.ts';
import { readExactly, readInto } from './read-exactly.ts';
import { encodeXattrs } from './xattrs.ts';

/** Writes inodes with what lies beside them: attributes, indexes, tables of chunks, ends of data. */
export class HeadWriter {
  readonly #plan: Plan;
  readonly #output: Output;
  readonly #leaveTail: (inode: Inode) => boolean;

  /** @param leaveTail leaves the end of a file that comes next to somebody else, or returns false */
  constructor(plan: Plan, output: Output, leaveTail: (inode: Inode) => boolean = () => false) {
    this.#plan = plan;
    this.#output = output;
    this.#leaveTail = leaveTail;
  }

  /**
   * Those of one space, in the order of their numbers.
   *
   * @param start byte of the output at which the first number of the space would lie
   */
  async *write(inodes: readonly Inode[], start: number): AsyncGenerator<ImagePart> {
    const { settings } = this.#plan;
    const output = this.#output;
    const base = (inodes[0]?.nid ?? 0) < IN_METABOX ? 0 : IN_METABOX;
    const order = byPlace(inodes, settings.blockSize / INODE_SLOT, base);
    // There are as many as files: nothing is made for each that is not needed.
    for (let index = 0; index < order.length; index++) {
      const inode = inodes[order[index]!]!;
      const at = start + (inode.nid - base) * INODE_SLOT;
      if (output.position < at && !output.pad(at)) yield* output.skipTo(at);
      if (inode.tailSize > 0 && !output.hasRoom(headSize(inode, settings))) {
        // Tail and inode lie in one part.
        yield* output.flush();
      }
      const appended = this.#append(inode);
      if (appended) await appended;
      if (output.full) yield* output.drain();
    }
  }

  #append(inode: Inode): Promise<void> | undefined {
    const { settings } = this.#plan;
    const output = this.#output;
    const { compressed } = inode;
    if (compressed) return appendCompressedHead(output, inode, compressed, this.#plan);
    output.append(encodeInode(inode, this.#plan));
    if (inode.xattrs.length > 0) output.append(encodeXattrs(inode.xattrs));
    if (inode.chunks) {
      const { startBlock } = inode;
      const { blockSize, chunks } = settings;
      const place = { startBlock, blockSize, indexes: chunks?.indexes ?? false };
      output.append(encodeTable(inode.chunks, coreSize(inode) + inode.xattrSize, place));
    }
    return inode.tailSize > 0 ? this.#appendTail(inode) : undefined;
  }

  #appendTail(inode: Inode): Promise<void> | undefined {
    const output = this.#output;
    const at = inode.size - inode.tailSize;
    if (inode.target) output.append(inode.target.subarray(at));
    else if (inode.directory) {
      let last: Uint8Array | undefined;
      for (const block of directoryBlocks(inode.directory, this.#plan.settings.blockSize)) {
        last = block;
      }
      output.append(last!);
    } else if (!this.#leaveTail(inode)) return this.#readTail(inode, at);
    return undefined;
  }

  #readTail(inode: Inode, at: number): Promise<void> | undefined {
    const output = this.#output;
    const room = output.roomFor(inode.tailSize);
    if (room) {
      const read = readInto(inode, at, room);
      return isPromise(read) ? read : undefined;
    }
    const tail = readExactly(inode, at, inode.tailSize);
    if (isPromise(tail)) return tail.then((bytes) => output.append(bytes));
    output.append(tail);
    return undefined;
  }
}
