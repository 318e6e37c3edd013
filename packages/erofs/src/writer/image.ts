import { isPromise } from '@anole/bytes';
import type { Extent, Tree } from '@anole/vfs';
import { SUPERBLOCK_OFFSET } from '../layout/superblock.ts';
import { Pacer } from '../pause.ts';
import { chunkTable, storedRanges } from './chunks.ts';
import { compressFiles } from './compress/compress-files.ts';
import { encodeConfigs } from './compress/configs.ts';
import { appendCompressedHead, compressedData } from './compress/emit.ts';
import { directoryBlocks } from './directory.ts';
import type { Inode } from './inode.ts';
import { encodeInode } from './metadata.ts';
import { settle, type WriteOptions } from './options.ts';
import { Output } from './output.ts';
import { type Plan, plan } from './plan.ts';
import { readExactly } from './read-exactly.ts';
import { scan } from './scan.ts';
import { encodeSuperblock, seal } from './superblock.ts';
import { deriveUuid } from './uuid.ts';
import { encodeXattrs, XattrPool } from './xattrs.ts';

/** Bytes asked of a file at once. */
const READ_SIZE = 1024 * 1024;

/**
 * An image that is laid out and can be written: its bytes in order, once or again as long as the
 * tree does not change. A chunk is valid until the next one is asked for.
 */
export interface ErofsImage extends AsyncIterable<Uint8Array> {
  /** Bytes in all: a multiple of the block size. */
  readonly size: number;
  readonly uuid: Uint8Array;
  readonly inodes: number;
}

/**
 * Reads a tree but for its files' data, and lays out its EROFS image. Memory grows with the number
 * of inodes, not with the size of files. The same tree and options give the same bytes.
 *
 * @throws ErofsError `EROFS_BAD_OPTION`, `EROFS_CANNOT_STORE`; while iterating `EROFS_SOURCE_CHANGED`;
 *   and what the tree raises.
 * @example
 * const image = await writeErofs(tree);
 * for await (const chunk of image) await file.write(chunk);
 */
export async function writeErofs(tree: Tree, options: WriteOptions = {}): Promise<ErofsImage> {
  const settings = settle(options);
  const pool = new XattrPool();
  const inodes = await scan(tree, settings, pool, options);
  const { compression } = settings;
  const result = compression && (await compressFiles(inodes, compression, options));
  const layout = plan(inodes, settings, pool, result);
  const uuid = settings.uuid ?? deriveUuid(layout);
  return {
    size: layout.blocks * settings.blockSize,
    uuid,
    inodes: layout.inodes.length,
    [Symbol.asyncIterator]: () => reporting(chunks(layout, uuid), layout, options),
  };
}

async function* reporting(
  image: AsyncIterable<Uint8Array>,
  { blocks, settings }: Plan,
  { signal, onProgress }: WriteOptions,
): AsyncGenerator<Uint8Array> {
  const total = blocks * settings.blockSize;
  const pacer = new Pacer();
  let done = 0;
  for await (const chunk of image) {
    signal?.throwIfAborted();
    yield chunk;
    done += chunk.length;
    const turn = pacer.turn();
    if (turn) await turn;
    onProgress?.({ step: 'write image', done, total, unit: 'bytes' });
  }
}

async function* chunks(layout: Plan, uuid: Uint8Array): AsyncGenerator<Uint8Array> {
  const { blockSize } = layout.settings;
  let first = true;
  for await (const chunk of pieces(layout, uuid)) {
    if (first) seal(chunk, blockSize);
    first = false;
    yield chunk;
  }
}

async function* pieces(layout: Plan, uuid: Uint8Array): AsyncGenerator<Uint8Array> {
  const { blockSize } = layout.settings;
  const output = new Output();
  output.skipTo(SUPERBLOCK_OFFSET);
  output.append(encodeSuperblock(layout, uuid));
  output.append(encodeConfigs(layout));
  for (const inode of [...layout.inodes].sort((a, b) => a.nid - b.nid)) {
    output.skipTo(inode.nid * 32);
    if (inode.compressed) await appendCompressedHead(output, inode, inode.compressed, layout);
    else await appendHead(output, inode, blockSize);
    if (output.ready) yield* output.take();
  }
  for (const item of layout.sharedXattrs) {
    output.skipTo(layout.xattrBlock * blockSize + item.sharedId! * 4);
    output.append(item.bytes);
    if (output.ready) yield* output.take();
  }
  for (const inode of layout.inodes) {
    if (inode.directory) yield* directoryData(output, inode, blockSize);
  }
  // From here on large files pass by the buffer; the superblock's block must have left it whole.
  output.skipTo(layout.dataBlock * blockSize);
  for (const inode of layout.inodes) {
    if (inode.compressed) yield* compressedData(output, inode, inode.compressed, layout);
    else if (!inode.directory) yield* fileData(output, inode, blockSize);
  }
  output.skipTo(layout.blocks * blockSize);
  output.flush();
  yield* output.take();
}

/** The inode, its attributes and its tail. */
async function appendHead(output: Output, inode: Inode, blockSize: number): Promise<void> {
  output.append(encodeInode(inode));
  if (inode.xattrs.length > 0) output.append(encodeXattrs(inode.xattrs));
  if (inode.chunks) output.append(chunkTable(inode.chunks, inode.startBlock, blockSize));
  if (inode.tailSize === 0) return;
  if (inode.target) {
    output.append(inode.target.subarray(inode.size - inode.tailSize));
  } else if (inode.directory) {
    let last: Uint8Array | undefined;
    for (const block of directoryBlocks(inode, blockSize)) last = block;
    output.append(last!);
  } else {
    const tail = readExactly(inode, inode.size - inode.tailSize, inode.tailSize);
    output.append(isPromise(tail) ? await tail : tail);
  }
}

function* directoryData(output: Output, inode: Inode, blockSize: number): Generator<Uint8Array> {
  if (inode.blocks === 0) return;
  output.skipTo(inode.startBlock * blockSize);
  let left = inode.blocks;
  for (const block of directoryBlocks(inode, blockSize)) {
    if (left-- > 0) output.append(block);
    if (output.ready) yield* output.take();
  }
}

async function* fileData(
  output: Output,
  inode: Inode,
  blockSize: number,
): AsyncGenerator<Uint8Array> {
  if (inode.blocks === 0) return;
  output.skipTo(inode.startBlock * blockSize);
  if (inode.target) {
    output.append(inode.target.subarray(0, inode.size - inode.tailSize));
    return;
  }
  const whole = [{ offset: 0, length: inode.size - inode.tailSize }];
  for (const range of inode.chunks ? storedRanges(inode.chunks, inode.size) : whole) {
    yield* rangeData(output, inode, range);
    output.skipTo(Math.ceil(output.position / blockSize) * blockSize);
  }
}

async function* rangeData(
  output: Output,
  inode: Inode,
  { offset, length }: Extent,
): AsyncGenerator<Uint8Array> {
  const end = offset + length;
  for (let at = offset; at < end; at += READ_SIZE) {
    const count = Math.min(READ_SIZE, end - at);
    const read = readExactly(inode, at, count);
    const bytes = isPromise(read) ? await read : read;
    if (count < READ_SIZE) {
      output.append(bytes);
      if (output.ready) yield* output.take();
      continue;
    }
    // A large piece is handed on as the tree gave it: no copy.
    output.flush();
    yield* output.take();
    output.passed(bytes.length);
    yield bytes;
  }
}
