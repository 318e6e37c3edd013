import {
  measureRafs,
  measureShare,
  type RafsBlob,
  type RafsImage,
  type RafsNode,
  type RafsShare,
  type RafsUsage,
} from '@anole/nydus';
import { findNode, VfsError } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { formatBytes } from '../progress.ts';
import { table } from '../table.ts';
import { type BlobFlags, type OpenRafs, openRafsFile } from './open.ts';

/** What a bootstrap says of itself and its blobs; of a file, the chunks that it is made of. */
export async function inspectAction(
  context: CommandContext,
  file: string,
  path: string | undefined,
  flags: BlobFlags,
): Promise<number> {
  using opened = await openRafsFile(file, flags);
  if (path !== undefined) return await inspectFile(context, opened.image, path);
  const { version, inodes, chunkSize, compressor, digester, cipher, blobs } = opened.image;
  const prefetch = await opened.image.prefetch();
  const facts = { version, inodes, chunkSize, compressor, digester, cipher, prefetch };
  if (context.json) {
    context.out(JSON.stringify({ ...facts, blobs: blobs.map(blobFacts) }, null, 2));
    return 0;
  }
  for (const [name, value] of Object.entries(facts)) context.out(`${name.padEnd(10)}  ${value}`);
  const header = ['blob', 'chunks', 'size', 'decoded', 'compressor', 'features'];
  const rows = blobs.map(({ info }) => [
    info.id,
    String(info.chunkCount),
    formatBytes(info.compressedSize),
    formatBytes(info.uncompressedSize),
    info.compressor,
    `0x${info.features.toString(16)}`,
  ]);
  if (rows.length > 0) context.out(`\n${table(header, rows)}`);
  return 0;
}

function blobFacts({ info }: RafsBlob): Record<string, unknown> {
  const { key, tocDigest, features, ...plain } = info;
  return {
    ...plain,
    features: `0x${features.toString(16)}`,
    tocDigest: Buffer.from(tocDigest).toString('hex'),
    encrypted: key !== undefined,
  };
}

async function inspectFile(
  context: CommandContext,
  image: RafsImage,
  path: string,
): Promise<number> {
  const node = (await findNode(image, path, { followSymlinks: false })) as RafsNode | undefined;
  if (node === undefined) throw new VfsError('VFS_NOT_FOUND', `Cannot find ${path} in the image`);
  const chunks = [];
  for (const { offset, blob, chunk } of await node.chunks()) {
    const digest = await blob.digest(chunk.index);
    const hex = digest && Buffer.from(digest).toString('hex');
    chunks.push({ fileOffset: offset, blob: blob.info.id, ...chunk, digest: hex });
  }
  if (context.json) {
    context.out(JSON.stringify({ path, ...node.stat, chunks }, null, 2));
    return 0;
  }
  const { type, size } = node.stat;
  context.out(`${path}: ${type}, ${size} bytes in ${chunks.length} chunks`);
  const header = ['offset', 'size', 'blob', 'chunk', 'stored at', 'stored', 'digest'];
  const rows = chunks.map(({ fileOffset, size: bytes, blob, index, part, ...rest }) => [
    ...[String(fileOffset), String(bytes), blob.slice(0, 12), String(index)],
    ...[
      String(rest.compressedOffset),
      part ? `${part.kind} ${part.index}` : `${rest.compressedSize}`,
    ],
    rest.digest?.slice(0, 16) ?? 'none',
  ]);
  if (rows.length > 0) context.out(table(header, rows));
  return 0;
}

interface StatFlags extends BlobFlags {
  readonly target?: string;
}

/** What images are made of, one by one and, of several, together; and what another has in common with them. */
export async function statAction(
  context: CommandContext,
  files: readonly string[],
  flags: StatFlags,
): Promise<number> {
  using resources = new DisposableStack();
  const opened: OpenRafs[] = [];
  for (const file of files) opened.push(resources.use(await openRafsFile(file, flags)));
  const call = { signal: context.signal };
  const images = opened.map(({ image }) => image);
  const rows: (RafsUsage & { readonly name: string })[] = [];
  for (const { file, image } of opened) {
    rows.push({ name: file, ...(await measureRafs([image], call)) });
  }
  if (opened.length > 1) rows.push({ name: 'together', ...(await measureRafs(images, call)) });
  const share = await shareOf(flags, images, resources, context);
  if (share) rows.push(share);
  if (context.json) {
    context.out(JSON.stringify(rows, null, 2));
    return 0;
  }
  const header = ['image', 'files', 'size', 'chunks', 'that differ', 'decoded', 'stored', 'blobs'];
  const lines = rows.map((row) => [
    ...[row.name, String(row.files), formatBytes(row.size), String(row.references)],
    ...[String(row.chunks), formatBytes(row.uniqueSize), formatBytes(row.storedSize)],
    String(row.blobs),
  ]);
  context.out(table(header, lines));
  if (share) context.out(`\n${describeShare(share)}`);
  return 0;
}

type NamedShare = RafsShare & { readonly name: string };

async function shareOf(
  { target, blobDir }: StatFlags,
  others: readonly RafsImage[],
  resources: DisposableStack,
  { signal }: CommandContext,
): Promise<NamedShare | undefined> {
  if (target === undefined) return undefined;
  const opened = resources.use(await openRafsFile(target, blobDir ? { blobDir } : {}));
  return { name: target, ...(await measureShare(opened.image, others, { signal })) };
}

function describeShare({ name, shared, own, chunks, storedSize }: NamedShare): string {
  const part = storedSize === 0 ? 0 : Math.round((100 * shared.storedSize) / storedSize);
  return (
    `${name}: the others have ${shared.chunks} of its ${chunks} chunks, ` +
    `${formatBytes(shared.storedSize)} as stored (${part} %); ` +
    `${own.chunks} are its own, ${formatBytes(own.storedSize)}`
  );
}
