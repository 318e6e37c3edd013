import { isPromise } from '@anole/bytes';
import type { Extent, Tree } from '@anole/vfs';
import { INODE_SLOT } from '../layout/inode.ts';
import { SUPERBLOCK_OFFSET } from '../layout/superblock.ts';
import { Pacer } from '../pause.ts';
import { encodeDevices } from './chunked/devices.ts';
import { encodeTable, storedRanges } from './chunks.ts';
import { encodeConfigs } from './compress/configs.ts';
import { appendCompressedHead } from './compress/emit.ts';
import { directoryBlocks } from './directory.ts';
import type { Inode } from './inode.ts';
import { coreSize, measureInode, measureInodes } from './measure.ts';
import { encodeInode } from './metadata.ts';
import { type Settings, settle, type WriteOptions } from './options.ts';
import { type ImagePart, Output } from './output.ts';
import { devicesStart, type Plan, plan, storedStart } from './plan.ts';
import { readExactly, readInto } from './read-exactly.ts';
import { scan } from './scan.ts';
import { devicesOf, storeData } from './store-data.ts';
import { encodeSuperblock, seal } from './superblock.ts';
import { deriveUuid } from './uuid.ts';
import { encodeXattrs, XattrPool } from './xattrs.ts';

/** Bytes of compressed data copied at once. */
const COPY_SIZE = 256 * 1024;

/**
 * An image that is laid out and can be written: its bytes in order, once or again as long as the
 * tree does not change. A chunk is valid until the next one is asked for.
 */
export interface ErofsImage extends AsyncIterable<Uint8Array> {
  /** Bytes in all: a multiple of the block size. */
  readonly size: number;
  readonly uuid: Uint8Array;
  readonly inodes: number;
  /** Bytes on the device given as `blob`, which they are written to by now; 0 where none was. */
  readonly blobSize: number;
  /**
   * What a file lacks that was given as `target`, in rising order; else all of the image. The file's
   * size is to be set to `size` at the end.
   */
  parts(): AsyncIterable<ImagePart>;
}

/**
 * Reads a tree but for its files' data, and lays out its EROFS image; with compression, compresses its
 * files too. Memory grows with the number of inodes, not with the size of files. The same tree and
 * options give the same bytes.
 *
 * @throws ErofsError `EROFS_BAD_OPTION`, `EROFS_CANNOT_STORE`; while iterating `EROFS_SOURCE_CHANGED`;
 *   and what the tree raises.
 * @example
 * const image = await writeErofs(tree);
 * for await (const chunk of image) await file.write(chunk);
 */
export async function writeErofs(tree: Tree, options: WriteOptions = {}): Promise<ErofsImage> {
  const settings = settle(options);
  const pool = new XattrPool(settings.xattrTolerance);
  const inodes = await scan(tree, settings, pool, options);
  const epoch = measureInodes(inodes, settings);
  const measure = (packed: Inode) => measureInode(packed, epoch, settings);
  const stored = await storeData(inodes, settings, measure, options);
  const devices = await devicesOf(stored, settings, options);
  const layout = plan(inodes, epoch, settings, pool, stored, devices);
  const uuid = settings.uuid ?? deriveUuid(layout);
  const all = (): AsyncIterable<ImagePart> => reporting(parts(layout, uuid, true), layout, options);
  return {
    size: layout.blocks * settings.blockSize,
    uuid,
    inodes: layout.inodes.length,
    blobSize: settings.hasBlob ? (stored?.blocks ?? 0) * settings.blockSize : 0,
    parts: () =>
      options.target === undefined ? all() : reporting(parts(layout, uuid, false), layout, options),
    async *[Symbol.asyncIterator]() {
      for await (const { bytes } of all()) yield bytes;
    },
  };
}

async function* reporting(
  parts: AsyncIterable<ImagePart>,
  { blocks, settings }: Plan,
  { signal, onProgress }: WriteOptions,
): AsyncGenerator<ImagePart> {
  const total = blocks * settings.blockSize;
  const pacer = new Pacer();
  for await (const part of parts) {
    signal?.throwIfAborted();
    yield part;
    const done = part.offset + part.bytes.length;
    const turn = pacer.turn();
    if (turn) await turn;
    onProgress?.({ step: 'write image', done, total, unit: 'bytes' });
  }
}

/** @param whole whether compressed data are among them */
async function* parts(layout: Plan, uuid: Uint8Array, whole: boolean): AsyncGenerator<ImagePart> {
  const { blockSize } = layout.settings;
  let first = true;
  for await (const part of pieces(layout, uuid, whole)) {
    if (first) seal(part.bytes, blockSize);
    first = false;
    yield part;
  }
}

async function* pieces(layout: Plan, uuid: Uint8Array, whole: boolean): AsyncGenerator<ImagePart> {
  const { blockSize } = layout.settings;
  const output = new Output();
  yield* output.skipTo(SUPERBLOCK_OFFSET);
  output.append(encodeSuperblock(layout, uuid));
  output.append(encodeConfigs(layout));
  if (layout.devices.length > 0) {
    yield* output.skipTo(devicesStart(layout.settings));
    output.append(encodeDevices(layout.devices, layout.blocks));
    yield* output.drain();
  }
  if (layout.metaBlock > 0) yield* storedData(output, layout, whole);
  yield* metadata(output, layout);
  for (const inode of layout.inodes) {
    if (inode.directory && inode.blocks > 0) yield* directoryData(output, inode, blockSize);
  }
  for (const inode of layout.inodes) {
    if (inode.compressed || inode.directory || inode.blocks === 0) continue;
    yield* fileData(output, inode, blockSize);
  }
  yield* output.skipTo(layout.blocks * blockSize);
  yield* output.flush();
}

async function* storedData(
  output: Output,
  { settings, stored, metaBlock }: Plan,
  whole: boolean,
): AsyncGenerator<ImagePart> {
  const { blockSize } = settings;
  const start = storedStart(settings) * blockSize;
  const end = metaBlock * blockSize;
  yield* output.skipTo(start);
  yield* output.flush();
  if (!whole) return output.jumpTo(end);
  for (let at = start; at < end; at += COPY_SIZE) {
    output.append(await stored!.spool.read(at - start, Math.min(COPY_SIZE, end - at)));
    yield* output.drain();
  }
}

async function* metadata(output: Output, layout: Plan): AsyncGenerator<ImagePart> {
  const { blockSize } = layout.settings;
  const start = layout.metaBlock * blockSize;
  for (const inode of [...layout.inodes].sort((a, b) => a.nid - b.nid)) {
    const at = start + inode.nid * INODE_SLOT;
    if (output.position < at) yield* output.skipTo(at);
    if (inode.compressed) await appendCompressedHead(output, inode, inode.compressed, layout);
    else {
      const appended = appendHead(output, inode, layout.settings);
      if (appended) await appended;
    }
    if (output.full) yield* output.drain();
  }
  for (const item of layout.sharedXattrs) {
    yield* output.skipTo(layout.xattrBlock * blockSize + item.sharedId! * 4);
    output.append(item.bytes);
    yield* output.drain();
  }
}

/** The inode, its attributes and its tail. */
function appendHead(output: Output, inode: Inode, settings: Settings): Promise<void> | undefined {
  const { blockSize } = settings;
  output.append(encodeInode(inode, settings));
  if (inode.xattrs.length > 0) output.append(encodeXattrs(inode.xattrs));
  if (inode.chunks) {
    const { startBlock } = inode;
    const place = { startBlock, blockSize, indexes: settings.chunks?.indexes ?? false };
    output.append(encodeTable(inode.chunks, coreSize(inode) + inode.xattrSize, place));
  }
  if (inode.tailSize === 0) return undefined;
  if (inode.target) {
    output.append(inode.target.subarray(inode.size - inode.tailSize));
  } else if (inode.directory) {
    let last: Uint8Array | undefined;
    for (const block of directoryBlocks(inode.directory!, blockSize)) last = block;
    output.append(last!);
  } else {
    const room = output.roomFor(inode.tailSize);
    const at = inode.size - inode.tailSize;
    if (room) {
      const read = readInto(inode, at, room);
      return isPromise(read) ? read : undefined;
    }
    const tail = readExactly(inode, at, inode.tailSize);
    if (isPromise(tail)) return tail.then((bytes) => output.append(bytes));
    output.append(tail);
  }
  return undefined;
}

function* directoryData(output: Output, inode: Inode, blockSize: number): Generator<ImagePart> {
  yield* output.skipTo(inode.startBlock * blockSize);
  let left = inode.blocks;
  for (const block of directoryBlocks(inode.directory!, blockSize)) {
    if (left-- > 0) output.append(block);
    yield* output.drain();
  }
}

async function* fileData(
  output: Output,
  inode: Inode,
  blockSize: number,
): AsyncGenerator<ImagePart> {
  yield* output.skipTo(inode.startBlock * blockSize);
  if (inode.target) {
    output.append(inode.target.subarray(0, inode.size - inode.tailSize));
    yield* output.drain();
    return;
  }
  const whole = [{ offset: 0, length: inode.size - inode.tailSize }];
  for (const range of inode.chunks ? storedRanges(inode.chunks, inode.size) : whole) {
    yield* rangeData(output, inode, range);
    yield* output.skipTo(Math.ceil(output.position / blockSize) * blockSize);
  }
}

/** Bytes of a file, read to where they are given out from. */
async function* rangeData(
  output: Output,
  inode: Inode,
  { offset, length }: Extent,
): AsyncGenerator<ImagePart> {
  for (let at = offset; at < offset + length; ) {
    const room = output.room(offset + length - at);
    const read = readInto(inode, at, room);
    if (isPromise(read)) await read;
    at += room.length;
    if (output.full) yield* output.drain();
  }
}
