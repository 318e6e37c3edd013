import { constants } from 'node:fs';
import { access, type FileHandle, readdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { CallOptions } from '@anole/bytes';
import type { CompressionOptions } from '@anole/erofs';
import { createFileAtomically, unpackTree } from '@anole/host';
import { type Tree, writeTar } from '@anole/vfs';
import { writeErofsFile } from '../compress/erofs-file.ts';
import { BuildError } from './errors.ts';
import { type ImageFacts, writeLayout } from './layout-output.ts';

/** What an image can be written as: an EROFS image, a tar archive, a directory, an OCI layout. */
export const formats = ['erofs', 'tar', 'dir', 'oci'] as const;
export type Format = (typeof formats)[number];

/** @throws BuildError `BUILD_BAD_FORMAT` */
export function checkFormat(name: string): Format {
  const found = formats.find((one) => one === name);
  if (found !== undefined) return found;
  throw new BuildError('BUILD_BAD_FORMAT', `Cannot write the format ${JSON.stringify(name)}`, {
    hint: `Formats are ${formats.join(', ')}.`,
  });
}

/**
 * Refuses an output that could not be written in the end, before the work is done.
 *
 * @throws BuildError `BUILD_BAD_OUTPUT`
 */
export async function checkOutput(format: Format, path: string): Promise<void> {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new BuildError('BUILD_BAD_OUTPUT', `Cannot write ${path}: ${reason}`, {
      details: { path, format },
      cause,
      hint: 'Give a path where you may write.',
    });
  };
  const there = await stat(path).catch(() => undefined);
  const isDirectory = format === 'dir' || format === 'oci';
  if (!isDirectory && there?.isDirectory()) refuse('it is a directory');
  if (format === 'oci' && there && (await readdir(path)).length > 0) refuse('it is not empty');
  if (isDirectory && there !== undefined && !there.isDirectory()) refuse('it is a file');
  // Directories that are missing are made, below the first that is there.
  let parent = dirname(resolve(path));
  while (!(await exists(parent))) parent = dirname(parent);
  await access(parent, constants.W_OK | constants.X_OK).catch((error) =>
    refuse(`${parent} is not writable`, error),
  );
}

interface OutputOptions extends CallOptions {
  readonly compression?: CompressionOptions;
}

/**
 * Writes a tree as a file or a directory that appears whole or not at all. Gives notes for the user:
 * what this machine could not write.
 */
export async function writeTree(
  tree: Tree,
  format: Format,
  path: string,
  facts: ImageFacts,
  options: OutputOptions = {},
): Promise<readonly string[]> {
  if (format === 'oci') {
    await writeLayout(tree, path, facts, options);
    return [];
  }
  if (format === 'dir') {
    const { owners, skipped } = await unpackTree(tree, path, options);
    const notes = skipped.map((part) => `left out ${part.path}: ${part.reason}`);
    return owners ? notes : ['all files belong to you, as only root can give files away', ...notes];
  }
  const { signal, onProgress, compression } = options;
  const call = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
  if (format === 'erofs') {
    await writeErofsFile(path, tree, { ...call, ...(compression && { compression }) });
    return [];
  }
  await createFileAtomically(path, (file) => writeAll(file, writeTar(tree, call)), call);
  return [];
}

/** Chunks may be reused by their maker: each is written before the next is asked for. */
async function writeAll(file: FileHandle, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
