import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFileAtomically } from '@anole/host';
import {
  ChunkDictionary,
  type Compressor,
  type Digester,
  type RafsWriteOptions,
  writeRafs,
} from '@anole/nydus';
import { createBlobFile, nodeEncoders } from '@anole/nydus/node';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { openTree } from '../fs/open-tree.ts';
import { openRafsFile } from './open.ts';

interface CreateFlags {
  readonly bootstrap?: string;
  readonly blobDir: string;
  readonly compressor: string;
  readonly level: string;
  readonly digester: string;
  readonly chunkSize: string;
  readonly batchSize: string;
  readonly chunkDict?: readonly string[];
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
  const options = await optionsOf(flags, context);
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
    context.out(JSON.stringify(facts, null, 2));
    return 0;
  }
  if (flags.bootstrap !== undefined) {
    context.out(`${flags.bootstrap}: ${inodes} inodes, ${bootstrap.length} bytes`);
  }
  context.out(
    blob ? `${blob.id}: ${blob.chunks} chunks, ${blob.size} bytes` : 'no blob: nothing new',
  );
  return 0;
}

async function optionsOf(flags: CreateFlags, context: CommandContext): Promise<RafsWriteOptions> {
  const chunkSize = sizeOf(flags.chunkSize, '--chunk-size');
  const { prefetchFiles } = flags;
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
    ...(flags.chunkDict && { dictionary: await dictionaryOf(flags.chunkDict) }),
    ...(flags.encrypt && { key: { key: randomBytes(32), iv: randomBytes(16) } }),
  };
}

async function dictionaryOf(files: readonly string[]): Promise<ChunkDictionary> {
  const dictionary = new ChunkDictionary();
  for (const file of files) {
    using opened = await openRafsFile(file.replace(/^bootstrap=/, ''));
    await dictionary.add(opened.image);
  }
  return dictionary;
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

function oneOf<T extends Compressor | Digester>(
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
