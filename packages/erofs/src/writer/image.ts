import { Pacer } from '@anole/bytes';
import type { Tree } from '@anole/vfs';
import { storeLate } from './compress/late.ts';
import type { Inode } from './inode.ts';
import { measureInode, measureInodes } from './measure.ts';
import { settle, type WriteOptions } from './options.ts';
import { inOrder } from './order.ts';
import type { ImagePart } from './output.ts';
import { isPlainFile, PartWriter } from './parts.ts';
import { type Plan, plan, withLate } from './plan.ts';
import { scan } from './scan.ts';
import { devicesOf, storeData } from './store-data.ts';
import { deriveUuid } from './uuid.ts';
import { XattrPool } from './xattrs.ts';

/**
 * An image that is laid out and can be written: its bytes in order, once or again as long as the
 * tree does not change. A chunk is valid until the next one is asked for.
 */
export interface ErofsImage extends AsyncIterable<Uint8Array> {
  /** Bytes in all: a multiple of the block size. */
  readonly size: number;
  readonly uuid: Uint8Array;
  readonly inodes: number;
  /** Files whose data parts with `copies` leave out, how many and of how many bytes. */
  readonly plain: { readonly files: number; readonly bytes: number };
  /** Bytes on the device given as `blob`, which they are written to by now; 0 where none was. */
  readonly blobSize: number;
  /**
   * What a file lacks that was given as `target`, in rising order; else all of the image. The file's
   * size is to be set to `size` at the end.
   */
  parts(options?: PartsOptions): AsyncIterable<ImagePart>;
}

export interface PartsOptions {
  /**
   * Whether parts say which data of files are to be copied where, instead of holding them: for callers
   * that copy better. All but the first part may. Default false.
   */
  readonly copies?: boolean;
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
  const pool = new XattrPool(settings.xattrTolerance, settings.xattrPrefixes);
  const inodes = inOrder(await scan(tree, settings, pool, options), options.first);
  const epoch = measureInodes(inodes, settings);
  const measure = (packed: Inode) => measureInode(packed, epoch, settings);
  const stored = await storeData(inodes, settings, measure, options);
  const devices = await devicesOf(stored, settings, options);
  const planned = plan(inodes, epoch, settings, pool, stored, devices);
  const late = await storeLate(planned, options);
  const layout = late ? withLate(planned, late) : planned;
  const uuid = settings.uuid ?? deriveUuid(layout);
  const parts = (whole: boolean, copies: boolean): AsyncIterable<ImagePart> =>
    reporting(new PartWriter(layout, { whole, copies }).parts(uuid), layout, options);
  return {
    size: layout.blocks * settings.blockSize,
    uuid,
    inodes: layout.inodes.length,
    plain: plainOf(layout),
    blobSize: settings.hasBlob ? (stored?.blocks ?? 0) * settings.blockSize : 0,
    parts: ({ copies = false } = {}) => parts(options.target === undefined, copies),
    async *[Symbol.asyncIterator]() {
      for await (const { bytes } of parts(true, false)) yield bytes;
    },
  };
}

function plainOf(layout: Plan): ErofsImage['plain'] {
  let files = 0;
  let bytes = 0;
  for (const inode of layout.inodes) {
    if (!isPlainFile(inode, layout)) continue;
    files++;
    bytes += inode.size;
  }
  return { files, bytes };
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
