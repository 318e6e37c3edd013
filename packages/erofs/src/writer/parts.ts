import { isPromise } from '@anole/bytes';
import type { Extent } from '@anole/vfs';
import { INODE_SLOT } from '../layout/inode.ts';
import { SUPERBLOCK_OFFSET } from '../layout/superblock.ts';
import { encodeDevices } from './chunked/devices.ts';
import { encodeTable, storedRanges } from './chunks.ts';
import { encodeConfigs } from './compress/configs.ts';
import { appendCompressedHead } from './compress/emit.ts';
import { directoryBlocks } from './directory.ts';
import type { Inode } from './inode.ts';
import { encodeLongPrefixes } from './long-prefixes.ts';
import { coreSize } from './measure.ts';
import { encodeInode } from './metadata.ts';
import { type ImagePart, Output } from './output.ts';
import { byPlace } from './places.ts';
import {
  devicesStart,
  hasPackedPrefixes,
  headSize,
  type Plan,
  prefixesStart,
  storedStart,
} from './plan.ts';
import { readExactly, readInto } from './read-exactly.ts';
import { encodeSuperblock, seal } from './superblock.ts';
import { encodeXattrs } from './xattrs.ts';

/** Bytes of compressed data copied at once. */
const COPY_SIZE = 256 * 1024;
/** Blocks of files of this size go with their tails: they are read once. */
const SMALL_FILE = 64 * 1024;
/** Bytes of a large file that are one copy. */
const LARGE_COPY = 8 * 1024 * 1024;

interface Choices {
  /** Whether data that were stored before are among the parts. */
  readonly whole: boolean;
  /** Whether data of files are left to whoever takes the parts. */
  readonly copies: boolean;
}

/** Whether an inode's data are bytes of a file as they are, and in order. */
export function isPlainFile(inode: Inode, { stored }: Pick<Plan, 'stored'>): boolean {
  const { type, chunks, isCompressed } = inode;
  return type === 'file' && chunks === undefined && !isCompressed && inode !== stored?.packed;
}

/** Gives the bytes of an image that is laid out, from the first to the last. */
export class PartWriter {
  readonly #plan: Plan;
  readonly #choices: Choices;
  readonly #output = new Output();
  /** By `ino`, whether a file's blocks were left to others together with its tail. */
  readonly #left: Uint8Array;

  constructor(plan: Plan, choices: Choices) {
    this.#plan = plan;
    this.#choices = choices;
    this.#left = new Uint8Array(choices.copies ? plan.inodes.length + 1 : 0);
  }

  async *parts(uuid: Uint8Array): AsyncGenerator<ImagePart> {
    const { blockSize, checksum } = this.#plan.settings;
    let first = true;
    for await (const part of this.#all(uuid)) {
      if (first && checksum) seal(part.bytes, blockSize);
      first = false;
      yield part;
    }
  }

  async *#all(uuid: Uint8Array): AsyncGenerator<ImagePart> {
    const { settings, devices, blocks, inodes, metaBlock } = this.#plan;
    const output = this.#output;
    yield* output.skipTo(SUPERBLOCK_OFFSET);
    output.append(encodeSuperblock(this.#plan, uuid));
    output.append(encodeConfigs(this.#plan));
    if (devices.length > 0) {
      yield* output.skipTo(devicesStart(settings));
      output.append(encodeDevices(devices, blocks));
      yield* output.drain();
    }
    if (settings.xattrPrefixes.length > 0 && !hasPackedPrefixes(settings)) {
      yield* output.skipTo(prefixesStart(settings));
      output.append(encodeLongPrefixes(settings.xattrPrefixes));
      yield* output.drain();
    }
    if (metaBlock > 0) yield* this.#storedData();
    yield* this.#metadata();
    for (const inode of inodes) {
      if (inode.directory && inode.blocks > 0) yield* this.#directory(inode);
    }
    for (const inode of inodes) {
      if (inode.isCompressed || inode.directory || inode.blocks === 0) continue;
      if (!this.#canLeave(inode)) yield* this.#file(inode);
      else if (this.#left[inode.ino] === 0) yield* this.#leaveBlocks(inode);
    }
    // Who copies has the rest of the image as it is: empty.
    if (!this.#choices.copies) yield* output.skipTo(blocks * settings.blockSize);
    yield* output.flush();
  }

  async *#storedData(): AsyncGenerator<ImagePart> {
    const { settings, stored, metaBlock } = this.#plan;
    const { blockSize } = settings;
    const output = this.#output;
    const start = storedStart(settings) * blockSize;
    const end = metaBlock * blockSize;
    yield* output.skipTo(start);
    yield* output.flush();
    if (!this.#choices.whole) return output.jumpTo(end);
    for (let at = start; at < end; at += COPY_SIZE) {
      output.append(await stored!.spool.read(at - start, Math.min(COPY_SIZE, end - at)));
      yield* output.drain();
    }
  }

  async *#metadata(): AsyncGenerator<ImagePart> {
    const { settings, inodes, metaBlock, sharedXattrs, xattrBlock } = this.#plan;
    const output = this.#output;
    const start = metaBlock * settings.blockSize;
    const perBlock = settings.blockSize / INODE_SLOT;
    for (const index of byPlace(inodes, perBlock)) {
      const inode = inodes[index]!;
      const at = start + inode.nid * INODE_SLOT;
      if (output.position < at) yield* output.skipTo(at);
      if (inode.tailSize > 0 && this.#canLeave(inode)) {
        // Tail and inode lie in one part.
        if (!output.hasRoom(headSize(inode, settings))) yield* output.flush();
      }
      const appended = this.#appendHead(inode);
      if (appended) await appended;
      if (output.full) yield* output.drain();
    }
    for (const item of sharedXattrs) {
      yield* output.skipTo(xattrBlock * settings.blockSize + item.sharedId! * 4);
      output.append(item.bytes);
      yield* output.drain();
    }
  }

  /** The inode, its attributes and what lies beside it. */
  #appendHead(inode: Inode): Promise<void> | undefined {
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
    } else if (this.#canLeave(inode) && !output.isFirst) this.#leaveTail(inode);
    else return this.#readTail(inode, at);
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

  /** Whether the data of an inode are for others to copy. */
  #canLeave(inode: Inode): boolean {
    return this.#choices.copies && isPlainFile(inode, this.#plan);
  }

  #leaveTail(inode: Inode): void {
    const { node, ino, size, tailSize: tail, startBlock } = inode;
    const output = this.#output;
    const isSmall = size <= SMALL_FILE;
    const length = isSmall ? size - tail : 0;
    const tailTo = output.position;
    const to = length > 0 ? startBlock * this.#plan.settings.blockSize : 0;
    output.room(tail).fill(0);
    output.copies.push({ node, ino, from: size - tail - length, length, to, tail, tailTo });
    if (isSmall) this.#left[ino] = 1;
  }

  *#leaveBlocks(inode: Inode): Generator<ImagePart> {
    const { node, ino, startBlock } = inode;
    const end = inode.size - inode.tailSize;
    yield* this.#output.flush();
    const start = startBlock * this.#plan.settings.blockSize;
    for (let from = 0; from < end; from += LARGE_COPY) {
      const length = Math.min(LARGE_COPY, end - from);
      const to = start + from;
      const copies = [{ node, ino, from, length, to, tail: 0, tailTo: 0 }];
      yield { offset: to, bytes: new Uint8Array(0), copies };
    }
    this.#output.jumpTo(start + end);
  }

  *#directory(inode: Inode): Generator<ImagePart> {
    const { blockSize } = this.#plan.settings;
    yield* this.#output.skipTo(inode.startBlock * blockSize);
    let left = inode.blocks;
    for (const block of directoryBlocks(inode.directory!, blockSize)) {
      if (left-- > 0) this.#output.append(block);
      yield* this.#output.drain();
    }
  }

  async *#file(inode: Inode): AsyncGenerator<ImagePart> {
    const { blockSize } = this.#plan.settings;
    const output = this.#output;
    yield* this.#goTo(inode.startBlock * blockSize);
    if (inode.target) {
      output.append(inode.target.subarray(0, inode.size - inode.tailSize));
      yield* output.drain();
      return;
    }
    const whole = [{ offset: 0, length: inode.size - inode.tailSize }];
    for (const range of inode.chunks ? storedRanges(inode.chunks, inode.size) : whole) {
      yield* this.#range(inode, range);
      yield* output.skipTo(Math.ceil(output.position / blockSize) * blockSize);
    }
  }

  /** Goes on elsewhere: over what others copy, or else over zeros. */
  *#goTo(position: number): Generator<ImagePart> {
    if (!this.#choices.copies) return yield* this.#output.skipTo(position);
    yield* this.#output.flush();
    this.#output.jumpTo(position);
  }

  /** Bytes of a file, read to where they are given out from. */
  async *#range(inode: Inode, { offset, length }: Extent): AsyncGenerator<ImagePart> {
    const output = this.#output;
    for (let at = offset; at < offset + length; ) {
      const room = output.room(offset + length - at);
      const read = readInto(inode, at, room);
      if (isPromise(read)) await read;
      at += room.length;
      if (output.full) yield* output.drain();
    }
  }
}
