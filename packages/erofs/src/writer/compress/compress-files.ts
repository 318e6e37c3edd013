import type { CallOptions } from '@anole/bytes';
import { storedRanges } from '../chunks.ts';
import type { Inode } from '../inode.ts';
import type { FileRange, WantedRanges } from '../options.ts';
import type { StoredData } from '../stored.ts';
import { Dedupe } from './dedupe.ts';
import { FileBuilder } from './file-builder.ts';
import { type CutFile, cutFile, FileParts } from './file-parts.ts';
import type { CompressionSettings } from './options.ts';
import { Packed, WHOLE_FRAGMENT_MAX } from './packed.ts';
import { Queue } from './queue.ts';
import { Reuse } from './reuse.ts';
import { SharedBlocks } from './shared-blocks.ts';
import type { Spool } from './spool.ts';

/**
 * Compresses the files of a tree: each inode's `compressed` then says how, or is undefined where
 * compressing gains nothing. Results are the same however many lanes there are.
 *
 * @param spool takes the blocks
 * @param measure is told of the packed inode before that is compressed
 * @param packedHead what the packed inode begins with
 * @param ranges what is wanted of files first: it is stored before all else
 */
export async function compressFiles(
  inodes: readonly Inode[],
  settings: CompressionSettings,
  spool: Spool,
  measure: (packed: Inode) => void,
  call: CallOptions,
  packedHead?: Uint8Array,
  ranges?: WantedRanges,
): Promise<StoredData> {
  const { tails } = settings;
  const packed = tails === 'fragment' ? new Packed(await settings.spool()) : undefined;
  if (packedHead) await packed?.place(packedHead);
  const ends = tails === 'inline' ? await settings.spool() : undefined;
  const shared = settings.shares ? new SharedBlocks(spool, settings.blockSize) : undefined;
  const builder = new FileBuilder(settings, { blocks: spool, ends, packed, shared });
  const chosen = Uint16Array.from(inodes, (inode) => (variantOf(inode, settings) ?? -1) + 1);
  await takeOver(inodes, chosen, settings, builder, call);
  await storeCut(inodes, chosen, settings, builder, call, ranges);
  const total = inodes.reduce((sum, { size }, at) => sum + (chosen[at] === 0 ? 0 : size), 0);
  const dedupe = builder.known && new Dedupe(builder, builder.known, settings);
  const queue = new Queue(settings, builder, call, total, dedupe);
  for (const [at, inode] of inodes.entries()) {
    if (chosen[at] === 0) continue;
    const variant = chosen[at]! - 1;
    if (packed && settings.allFragments && inode.size <= WHOLE_FRAGMENT_MAX) {
      inode.compressed = await packed.placeFile(inode, settings);
      continue;
    }
    const added = queue.add(inode, tails, variant);
    if (added) await added;
  }
  await queue.drain();
  const result = { spool, ends };
  if (packed === undefined || packed.size === 0) {
    return { ...result, blocks: builder.blocks, packed: undefined };
  }
  const inode = packed.inode(inodes.length + 1, inodes[0]!);
  measure(inode);
  const last = new Queue(settings, builder, call, inode.size, dedupe);
  await last.add(inode, 'plain', settings.packedVariant);
  await last.drain();
  return { ...result, blocks: builder.blocks, packed: inode };
}

/**
 * Takes over what another image has compressed.
 *
 * @param chosen for each inode by which of the settings it is to be compressed, from 1, or 0: becomes 0 for
 *   what was taken over
 */
async function takeOver(
  inodes: readonly Inode[],
  chosen: Uint16Array,
  settings: CompressionSettings,
  builder: FileBuilder,
  { signal, onProgress }: CallOptions,
): Promise<void> {
  const reuse = settings.reuse && (await Reuse.from(settings.reuse, settings));
  if (reuse === undefined) return;
  for (const [done, inode] of inodes.entries()) {
    if (chosen[done] === 0) continue;
    signal?.throwIfAborted();
    const variant = chosen[done]! - 1;
    const pieces = await reuse.find(inode, settings.variants[variant]!);
    if (pieces === undefined) continue;
    chosen[done] = 0;
    for await (const { bytes, piece } of pieces) {
      await builder.add(inode, piece, variant, { memory: bytes, fragmentAt: piece.end });
      await builder.flush();
    }
    onProgress?.({ step: 'take over files', done, total: inodes.length, unit: 'items' });
  }
}

/**
 * Stores files of which parts are wanted first: those parts, and then the rest.
 *
 * @param chosen as of `takeOver`: becomes 0 for what was stored
 */
async function storeCut(
  inodes: readonly Inode[],
  chosen: Uint16Array,
  settings: CompressionSettings,
  builder: FileBuilder,
  call: CallOptions,
  ranges: WantedRanges | undefined,
): Promise<void> {
  // What is found again at any byte must not end where somebody stops reading; and parts begin at any block.
  if (ranges === undefined || settings.dedupe || settings.dataUnit > 1) return;
  const cut: CutFile[] = [];
  for (const [at, inode] of inodes.entries()) {
    if (chosen[at] === 0) continue;
    const one = cutFile(inode, chosen[at]! - 1, ranges.get(inode.path), settings.blockSize);
    if (one === undefined) continue;
    cut.push(one);
    chosen[at] = 0;
  }
  const parts = new FileParts(builder);
  const total = cut.reduce((sum, { inode }) => sum + inode.size, 0);
  const queue = new Queue(settings, parts, call, total);
  const put = async (of: (file: CutFile) => readonly FileRange[]) => {
    for (const file of cut) {
      for (const range of of(file)) {
        parts.expect(range);
        await queue.addPart(file.inode, range, file.variant);
      }
    }
  };
  await put(({ wanted }) => wanted);
  await put(({ rest }) => rest);
  await queue.drain();
  parts.finish(cut);
}

/** By which of the settings a file is compressed, if it is at all. */
function variantOf(
  inode: Inode,
  { tails, blockSize, variantFor }: CompressionSettings,
): number | undefined {
  const { type, size, chunks } = inode;
  if (type !== 'file') return undefined;
  // Holes cost next to nothing as they are; a file that is mostly data shrinks better.
  if (chunks !== undefined) {
    const stored = storedRanges(chunks, size).reduce((sum, { length }) => sum + length, 0);
    if (stored * 2 < size) return undefined;
    inode.chunks = undefined;
  }
  if (size <= (tails === 'plain' ? blockSize : 0)) return undefined;
  return variantFor(inode);
}
