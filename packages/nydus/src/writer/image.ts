import type { CallOptions } from '@anole/bytes';
import { overlay, type Tree, type TreeNode } from '@anole/vfs';
import type { BlobInfo } from '../reader/blob-info.ts';
import type { BlobFile } from './blob-of-files.ts';
import type { BlobSink } from './blob-output.ts';
import { BlobWriter } from './blob-writer.ts';
import { type BootstrapPlan, encodeBootstrap } from './bootstrap.ts';
import type { BlobRef } from './chunks.ts';
import { ChunkDictionary } from './dictionary.ts';
import { FileChunks } from './file-chunks.ts';
import type { Inode } from './inode.ts';
import { layOut } from './layout.ts';
import { type RafsWriteOptions, type Settings, settle } from './options.ts';
import { References } from './references.ts';
import { type Scanned, scan } from './scan.ts';

/** What was written. */
export interface WrittenRafs {
  /** The bootstrap, whose blobs have their names. With `inlineBootstrap`, the one that lies in the blob. */
  readonly bootstrap: Uint8Array;
  /** Undefined where there was nothing to store: then nothing was written to the sink. */
  readonly blob: WrittenBlob | undefined;
  /** All that the bootstrap refers to, dictionaries' too. */
  readonly blobs: readonly BlobInfo[];
  readonly inodes: number;
}

export interface WrittenBlob {
  /** Hexadecimal SHA-256. */
  readonly id: string;
  readonly size: number;
  readonly chunks: number;
}

/**
 * Writes a tree as a RAFS v6 image: the data of its files to `sink`, from the first byte of the blob to
 * the last, and a bootstrap. Memory grows with the number of inodes and chunks, not with the size of
 * files. The same tree and options give the same bytes.
 *
 * @throws RafsError `RAFS_BAD_OPTION`, `RAFS_CANNOT_STORE`, `RAFS_SOURCE_CHANGED`; ErofsError
 *   `EROFS_CANNOT_STORE`; what the tree and the sink raise
 * @example
 * const { bootstrap, blob } = await writeRafs(tree, file, { encoders: nodeEncoders() });
 */
export async function writeRafs(
  tree: Tree,
  sink: BlobSink,
  options: RafsWriteOptions,
): Promise<WrittenRafs> {
  const settings = settle(options);
  const { inlineBootstrap, parent, whiteouts } = settings;
  const both = parent ? overlay([parent.image, tree], { whiteouts }) : tree;
  const scanned = await scan(both, settings, options);
  const inodesEnd = layOut(scanned.inodes, settings.chunkSize);
  const writer = new BlobWriter(sink, settings);
  await storeFiles(scanned.inodes, writer, settings, options);
  const hasData = writer.chunkCount > 0;
  const plan = planOf(scanned, inodesEnd, writer, settings);
  if (hasData || inlineBootstrap) await writer.finishData();
  let bootstrap: Uint8Array | undefined;
  if (inlineBootstrap) {
    bootstrap = encodeBootstrap(plan);
    await writer.addBootstrap(bootstrap);
  }
  const id = hasData || inlineBootstrap ? await writer.finish() : undefined;
  bootstrap ??= encodeBootstrap(plan);
  return {
    bootstrap,
    blob: id === undefined ? undefined : { id, size: writer.size, chunks: writer.chunkCount },
    blobs: plan.blobs.map(({ info }, index) => ({ ...info, index })),
    inodes: scanned.inodes.length,
  };
}

async function storeFiles(
  inodes: readonly Inode[],
  writer: BlobWriter,
  settings: Settings,
  options: CallOptions,
): Promise<void> {
  const files = inOrder(
    inodes.filter(({ stat }) => stat.type === 'file'),
    settings.prefetch,
  );
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const { parent } = settings;
  const dictionary = new ChunkDictionary(settings.dictionary);
  if (parent) await dictionary.add(parent.image, parent.self);
  const below = parent && new References([parent], dictionary);
  const chunks = new FileChunks({ ...settings, dictionary }, writer);
  let done = 0;
  for (const inode of files) {
    const { node, path, size } = inode;
    const there = await below?.chunksOf(inode, options);
    inode.chunks = there ?? (await chunks.store(fileOf(node, path, size), options));
    done += inode.size;
    options.onProgress?.({ step: 'write files', done, total, unit: 'bytes', detail: inode.path });
  }
}

function fileOf(node: TreeNode, path: string, size: number): BlobFile {
  return {
    path,
    size,
    read: (offset, length) => node.read(offset, length),
    ...(node.readInto && {
      readInto: (offset: number, target: Uint8Array) => node.readInto!(offset, target),
    }),
  };
}

/** Those that will be wanted first come first, in the order in which they were given. */
function inOrder(files: readonly Inode[], prefetch: readonly string[]): readonly Inode[] {
  if (prefetch.length === 0) return files;
  const ranks = new Map(prefetch.map((path, rank) => [trimmed(path), rank]));
  const rankOf = ({ path }: Inode): number => {
    for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
      const rank = ranks.get(at);
      if (rank !== undefined) return rank;
      if (at === '') return prefetch.length;
    }
  };
  const ranked = files.map((file) => ({ file, rank: rankOf(file) }));
  return ranked.sort((a, b) => a.rank - b.rank).map(({ file }) => file);
}

function trimmed(path: string): string {
  return path.replace(/^\/+|\/+$/g, '');
}

function planOf(
  { inodes, names }: Scanned,
  inodesEnd: number,
  writer: BlobWriter,
  settings: Settings,
): BootstrapPlan {
  const blobs = new Set<BlobRef>();
  for (const inode of inodes) for (const { blob } of inode.chunks) blobs.add(blob);
  if (settings.inlineBootstrap) blobs.add(writer.ref);
  const byPath = new Map(inodes.map((inode) => [inode.path, inode.nid]));
  const wanted = settings.prefetch.map((path) => byPath.get(trimmed(path)));
  return {
    inodes,
    names,
    inodesEnd,
    blobs: [...blobs],
    prefetch: blobs.size === 0 ? [] : wanted.filter((nid) => nid !== undefined),
    settings,
  };
}
