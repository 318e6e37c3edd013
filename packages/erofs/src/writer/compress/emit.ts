import type { Inode } from '../inode.ts';
import { coreSize } from '../measure.ts';
import { encodeInode } from '../metadata.ts';
import type { Output } from '../output.ts';
import type { Plan } from '../plan.ts';
import { encodeXattrs } from '../xattrs.ts';
import type { Compressed } from './compressed.ts';
import { encodeIndexes } from './index-packs.ts';

/** The inode, its attributes, its indexes, and its last pcluster where that lies beside it. */
export async function appendCompressedHead(
  output: Output,
  inode: Inode,
  compressed: Compressed,
  plan: Plan,
): Promise<void> {
  output.append(encodeInode(inode, plan));
  if (inode.xattrs.length > 0) output.append(encodeXattrs(inode.xattrs));
  output.append(encodeIndexes(compressed, coreSize(inode) + inode.xattrSize, inode.startBlock));
  const { inlineSize, inlineAt } = compressed;
  if (inlineSize > 0) output.append(await plan.stored!.ends!.read(inlineAt, inlineSize));
}
