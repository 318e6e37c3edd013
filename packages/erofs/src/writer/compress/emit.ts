import type { Inode } from '../inode.ts';
import { encodeInode } from '../metadata.ts';
import type { Output } from '../output.ts';
import { coreSize, type Plan } from '../plan.ts';
import { encodeXattrs } from '../xattrs.ts';
import { type Compressed, endsPlain, padded } from './compressed.ts';
import { encodeIndexes } from './index-packs.ts';

/** Bytes asked of the spool at once. */
const READ_SIZE = 1024 * 1024;

/** The inode, its attributes, its indexes, and its last pcluster where that lies beside it. */
export async function appendCompressedHead(
  output: Output,
  inode: Inode,
  compressed: Compressed,
  { spool, settings }: Plan,
): Promise<void> {
  output.append(encodeInode(inode));
  if (inode.xattrs.length > 0) output.append(encodeXattrs(inode.xattrs));
  output.append(encodeIndexes(compressed, coreSize(inode) + inode.xattrSize, inode.startBlock));
  const { inlineSize, spooled, blocks } = compressed;
  if (inlineSize === 0) return;
  output.append(await spool!.read(spooled + blocks * settings.blockSize, inlineSize));
}

export async function* compressedData(
  output: Output,
  inode: Inode,
  compressed: Compressed,
  { spool, settings }: Plan,
): AsyncGenerator<Uint8Array> {
  if (inode.blocks === 0) return;
  const { blockSize } = settings;
  const { spooled, blocks, tailSize } = compressed;
  output.skipTo(inode.startBlock * blockSize);
  const end = blocks * blockSize;
  for (let at = 0; at < end; at += READ_SIZE) {
    output.append(await spool!.read(spooled + at, Math.min(READ_SIZE, end - at)));
    if (output.ready) yield* output.take();
  }
  if (blocks === inode.blocks) return;
  const tail = await spool!.read(spooled + end, tailSize);
  output.append(padded(tail, endsPlain(compressed), blockSize));
}
