import { randomBytes } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { writeFileAtomically } from '@anole/host';
import {
  ChunkDictionary,
  type Compressor,
  type Digester,
  type RafsWriteOptions,
  type WrittenBlob,
  writeRafs,
  writeRafsReference,
} from '@anole/nydus';
import { createBlobFile, nodeEncoders } from '@anole/nydus/node';
import type { Whiteouts } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { openTree } from '../fs/open-tree.ts';
import { type DictionaryFlags, dictionaryOf } from './dictionary.ts';
import { blobPlaces, namedImage, openRafsFile } from './open.ts';

interface CreateFlags extends DictionaryFlags {
  readonly type?: string;
  readonly bootstrap?: string;
  readonly blobDir: string;
  readonly compressor: string;
  readonly level: string;
  readonly digester: string;
  readonly chunkSize: string;
  readonly batchSize: string;
  readonly parentBootstrap?: string;
  readonly whiteoutSpec: string;
  readonly blobInlineMeta?: boolean;
  readonly toc: boolean;
  readonly prefetchFiles?: string;
  readonly encrypt?: boolean;
  readonly xattrs: boolean;
}

export async function createAction(
  context: CommandContext,
  source: string,
  flags: CreateFlags,
): Promise<number> {
  if (flags.bootstrap === undefined && !flags.blobInlineMeta) {
    throw usageError('Cannot make an image without a bootstrap: give -B', 'nydus create');
  }
  const isReference = refersTo(source, flags);
  using resources = new DisposableStack();
  const given = {
    ...(await optionsOf(flags, context)),
    ...(await above(flags, context, resources)),
  };
  const { options, layer } = isReference
    ? await referTo(source, flags, given)
    : { options: given, layer: undefined };
  await using input = await openTree(source, context);
  const written = await createBlobFile(flags.blobDir, (sink) =>
    writeRafs(input.tree, sink, options),
  );
  if (flags.bootstrap !== undefined) await writeFileAtomically(flags.bootstrap, written.bootstrap);
  context.endProgress();
  const { blob, blobs, inodes, bootstrap } = written;
  if (context.json) {
    const ids = blobs.map(({ id }) => id);
    const facts = { bootstrap: flags.bootstrap, size: bootstrap.length, inodes, blob, blobs: ids };
    context.out(JSON.stringify({ ...facts, ...(layer && { layer }) }, null, 2));
    return 0;
  }
  if (flags.bootstrap !== undefined) {
    context.out(`${flags.bootstrap}: ${inodes} inodes, ${bootstrap.length} bytes`);
  }
  for (const made of [layer?.tables, blob]) {
    if (made) context.out(`${made.id}: ${made.chunks} chunks, ${made.size} bytes`);
  }
  if (layer) context.out(`${layer.id}: the blob that ${source} is`);
  else if (blob === undefined) context.out('no blob: nothing new');
  return 0;
}

/** Types of nydus-image whose sources are known by what they are. */
const seen = ['directory', 'dir-rafs', 'tar-rafs', 'targz-rafs', 'estargz-rafs'];

/** Whether the data are to be left where they are. */
function refersTo(source: string, { type, encrypt, batchSize }: CreateFlags): boolean {
  if (type === undefined || seen.includes(type)) return false;
  if (type !== 'targz-ref') {
    const all = [...seen, 'targz-ref'].join(', ');
    throw usageError(`Cannot take ${type} for --type: it is one of ${all}`, 'nydus create');
  }
  if (encrypt || batchSize !== '0') {
    throw usageError('Cannot encrypt or batch data that stay where they are', 'nydus create');
  }
  if (source === '-') {
    throw usageError('Cannot refer to standard input: give a file', 'nydus create');
  }
  return true;
}

/** A layer that is a blob as it is. */
interface ReferredLayer {
  readonly id: string;
  readonly size: number;
  /** The blob by which its chunks are found; undefined where it has none. */
  readonly tables: WrittenBlob | undefined;
}

/** Writes the tables for an archive, and gives the options of an image that finds its data there. */
async function referTo(
  source: string,
  { blobDir }: CreateFlags,
  options: RafsWriteOptions,
): Promise<{ readonly options: RafsWriteOptions; readonly layer: ReferredLayer }> {
  const { encoders, chunkSize, signal, dictionary = new ChunkDictionary() } = options;
  const { id, size, blob, chunks } = await createBlobFile(blobDir, (sink) =>
    writeRafsReference(createReadStream(source), sink, {
      encoders,
      checksum: crc32,
      ...(chunkSize !== undefined && { chunkSize }),
      ...(signal && { signal }),
    }),
  );
  for (const chunk of chunks) dictionary.put(chunk);
  return {
    options: { ...options, digester: 'sha256', dictionary },
    layer: { id, size, tables: blob },
  };
}

async function optionsOf(flags: CreateFlags, context: CommandContext): Promise<RafsWriteOptions> {
  const chunkSize = sizeOf(flags.chunkSize, '--chunk-size');
  const { prefetchFiles } = flags;
  const dictionary = await dictionaryOf(flags, context);
  return {
    signal: context.signal,
    onProgress: context.progress,
    encoders: nodeEncoders({ level: sizeOf(flags.level, '--level') }),
    compressor: oneOf(flags.compressor, ['none', 'lz4_block', 'zstd'], '--compressor'),
    digester: oneOf<Digester>(flags.digester, ['blake3', 'sha256'], '--digester'),
    chunkSize,
    batchSize: sizeOf(flags.batchSize, '--batch-size'),
    toc: flags.toc,
    inlineBootstrap: flags.blobInlineMeta ?? false,
    xattrs: flags.xattrs,
    prefetch: prefetchFiles === undefined ? [] : linesOf(prefetchFiles),
    ...(dictionary && { dictionary }),
    ...(flags.encrypt && { key: { key: randomBytes(32), iv: randomBytes(16) } }),
  };
}

/** The image that the new one lies over, which stays open until `resources` are disposed of. */
async function above(
  { parentBootstrap, whiteoutSpec, blobDir }: CreateFlags,
  { signal }: CommandContext,
  resources: DisposableStack,
): Promise<Pick<RafsWriteOptions, 'parent' | 'whiteouts'>> {
  const whiteouts = oneOf(whiteoutSpec, ['oci', 'overlayfs', 'none'], '--whiteout-spec');
  if (parentBootstrap === undefined) return {};
  const beside = blobPlaces(parentBootstrap);
  const opened = await openRafsFile(parentBootstrap, { blobDir: [...beside, blobDir] });
  return { parent: await namedImage(resources.use(opened), signal), whiteouts };
}

/** Paths, one on a line, of a file or standard input. */
function linesOf(file: string): readonly string[] {
  const text = readFileSync(file === '-' ? 0 : file, 'utf8');
  return text.split('\n').filter((line) => line !== '');
}

/** A number, in decimal or, after `0x`, hexadecimal digits. */
function sizeOf(text: string, option: string): number {
  const size = /^(?:0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(size)) return size;
  throw usageError(`Cannot take ${text} for ${option}: give a number`, 'nydus create');
}

function oneOf<T extends Compressor | Digester | Whiteouts>(
  text: string,
  all: readonly T[],
  option: string,
): T {
  const found = all.find((each) => each === text);
  if (found !== undefined) return found;
  throw usageError(
    `Cannot take ${text} for ${option}: it is one of ${all.join(', ')}`,
    'nydus create',
  );
}
