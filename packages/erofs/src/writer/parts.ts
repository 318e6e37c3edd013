import { isPromise } from '@anole/bytes';
import type { Extent } from '@anole/vfs';
import { checkedEnd } from '../checksum.ts';
import { SUPERBLOCK_OFFSET } from '../layout/superblock.ts';
import { encodeDevices } from './chunked/devices.ts';
import { storedRanges } from './chunks.ts';
import { encodeConfigs } from './compress/configs.ts';
import type { LateData } from './compress/late.ts';
import type { Spool } from './compress/spool.ts';
import { directoryBlocks } from './directory.ts';
import { devicesStart, prefixesPlace, prefixesStart, storedStart } from './front.ts';
import { HeadWriter } from './heads.ts';
import type { Inode } from './inode.ts';
import { encodeLongPrefixes } from './long-prefixes.ts';
import { type ImagePart, Output } from './output.ts';
import type { Plan } from './plan.ts';
import { readInto } from './read-exactly.ts';
import { encodeExtension, encodeSuperblock, seal } from './superblock.ts';

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
  readonly #output: Output;
  /** By `ino`, whether a file's blocks were left to others together with its tail. */
  readonly #left: Uint8Array;

  constructor(plan: Plan, choices: Choices) {
    this.#plan = plan;
    this.#choices = choices;
    // The superblock's checksum covers all of its block, and is put into the first part.
    this.#output = new Output(checkedEnd(plan.settings.blockSize));
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
    const { settings, devices, blocks, inodes, metaBlock, late } = this.#plan;
    const output = this.#output;
    yield* output.skipTo(SUPERBLOCK_OFFSET);
    output.append(encodeSuperblock(this.#plan, uuid));
    output.append(encodeExtension(this.#plan));
    output.append(encodeConfigs(this.#plan));
    if (devices.length > 0) {
      yield* output.skipTo(devicesStart(settings));
      output.append(encodeDevices(devices, blocks));
      yield* output.drain();
    }
    if (prefixesPlace(settings) === 'image') {
      yield* output.skipTo(prefixesStart(settings));
      output.append(encodeLongPrefixes(settings.xattrPrefixes));
      yield* output.drain();
    }
    if (metaBlock > 0) yield* this.#storedData();
    yield* this.#metadata();
    for (const inode of inodes) {
      if (inode.isCompressed || !inode.directory || inode.blocks === 0) continue;
      yield* this.#directory(inode);
    }
    for (const inode of inodes) {
      if (inode.isCompressed || inode.directory || inode.blocks === 0) continue;
      if (!this.#canLeave(inode)) yield* this.#file(inode);
      else if (this.#left[inode.ino] === 0) yield* this.#leaveBlocks(inode);
    }
    if (late && late.blocks > 0) yield* this.#lateData(late);
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
    yield* this.#copy(stored!.spool, end - start);
  }

  async *#lateData({ spool, blocks }: LateData): AsyncGenerator<ImagePart> {
    const { settings, lateBlock } = this.#plan;
    yield* this.#goTo(lateBlock * settings.blockSize);
    yield* this.#copy(spool, blocks * settings.blockSize);
  }

  /** All of a scratch file. */
  async *#copy(spool: Spool, size: number): AsyncGenerator<ImagePart> {
    for (let at = 0; at < size; at += COPY_SIZE) {
      this.#output.append(await spool.read(at, Math.min(COPY_SIZE, size - at)));
      yield* this.#output.drain();
    }
  }

  async *#metadata(): AsyncGenerator<ImagePart> {
    const { settings, outside, metaBlock, sharedXattrs, xattrBlock } = this.#plan;
    const output = this.#output;
    const heads = new HeadWriter(this.#plan, output, (inode) => this.#leaveTail(inode));
    yield* heads.write(outside, metaBlock * settings.blockSize);
    for (const item of sharedXattrs) {
      yield* output.skipTo(xattrBlock * settings.blockSize + item.sharedId! * 4);
      output.append(item.bytes);
      yield* output.drain();
    }
  }

  /** Whether the data of an inode are for others to copy. */
  #canLeave(inode: Inode): boolean {
    return this.#choices.copies && isPlainFile(inode, this.#plan);
  }

  /** The first part is always whole: the superblock's checksum covers it. */
  #leaveTail(inode: Inode): boolean {
    const output = this.#output;
    if (output.isFirst || !this.#canLeave(inode)) return false;
    const { node, ino, size, tailSize: tail, startBlock } = inode;
    const isSmall = size <= SMALL_FILE;
    const length = isSmall ? size - tail : 0;
    const tailTo = output.position;
    const to = length > 0 ? startBlock * this.#plan.settings.blockSize : 0;
    output.pad(tailTo + tail);
    output.copies.push({ node, ino, from: size - tail - length, length, to, tail, tailTo });
    if (isSmall) this.#left[ino] = 1;
    return true;
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
