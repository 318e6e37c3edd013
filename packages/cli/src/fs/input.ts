import { addAbortListener } from 'node:events';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AnoleError, type OnProgress } from '@anole/bytes';
import { type FileSource, fileSource, HostError, hostError, hostTree } from '@anole/host';
import { type Tree, treeFromTar } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { decompressorFor, MAGIC_SIZE } from './decompressor.ts';

/** A tree to make an image of, and what it holds open. */
export interface Input extends Disposable {
  readonly tree: Tree;
}

interface InputFlags {
  readonly output: string;
  readonly xattrs: boolean;
}

/** Opens what a user named: a directory, an archive, or `-` for an archive on standard input. */
export async function openInput(
  name: string,
  flags: InputFlags,
  context: CommandContext,
): Promise<Input> {
  if (name === '-') {
    if (process.stdin.isTTY) throw usageError('Cannot read an archive from a terminal', 'fs mk');
    return archiveInput(await spool(process.stdin, flags.output, context), 'standard input');
  }
  if (isDirectory(name)) return directoryInput(name, flags, context);
  if (!isCompressed(name)) return archiveInput(fileSource(name), name);
  return archiveInput(await spool(createReadStream(name), flags.output, context), name);
}

/**
 * Refuses what has no bytes at all: mostly, the program that was to write it has failed.
 *
 * @throws AnoleError `CLI_EMPTY`
 */
export function checkArchive({ size }: FileSource, name: string): void {
  if (size > 0) return;
  throw new AnoleError('CLI_EMPTY', `Cannot read an archive from ${name}: it is empty`, {
    hint: 'has the program failed that writes it? An archive of nothing has 1024 zeros at least.',
  });
}

function isDirectory(name: string): boolean {
  try {
    return statSync(name).isDirectory();
  } catch (error) {
    throw hostError(error, `read ${name}`);
  }
}

function isCompressed(name: string): boolean {
  using source = fileSource(name);
  return decompressorFor(source.read(0, Math.min(MAGIC_SIZE, source.size))) !== undefined;
}

function directoryInput(name: string, flags: InputFlags, context: CommandContext): Input {
  const open = (xattrs: boolean): Input => {
    const tree = hostTree(name, { xattrs });
    return { tree, [Symbol.dispose]: () => tree.close() };
  };
  try {
    return open(flags.xattrs);
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== 'HOST_NO_TOOL') throw error;
    context.err('extended attributes are left out: getfattr (Debian: attr) is not installed');
    return open(false);
  }
}

async function archiveInput(source: FileSource, name: string): Promise<Input> {
  const close = () => source.close();
  try {
    checkArchive(source, name);
    return { tree: await treeFromTar(source), [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * A stream gives an archive once, an image needs it twice: it goes, decompressed, through a file
 * beside the image, where there is room for one. Only the descriptor is left of that file.
 */
async function spool(
  stream: Readable,
  output: string,
  { progress, signal }: CommandContext,
): Promise<FileSource> {
  const beside = output === '-' ? tmpdir() : dirname(resolve(output));
  // A pipe that nobody writes to would be waited for, and would keep the process alive.
  using _stopping = addAbortListener(signal, () => stream.destroy());
  let directory: string | undefined;
  try {
    directory = await mkdtemp(join(beside, '.anole-tar-'));
    const file = createWriteStream(join(directory, 'archive'));
    const { head, all } = await peek(stream);
    const decompressor = await decompressorFor(head)?.();
    const counted = metered(all, progress);
    if (decompressor) await pipeline(counted, decompressor, file, { signal });
    else await pipeline(counted, file, { signal });
    return fileSource(join(directory, 'archive'));
  } catch (error) {
    signal.throwIfAborted();
    throw hostError(error, 'read the archive');
  } finally {
    stream.destroy();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}

/** The first bytes of a stream, at least those of a magic number where it has them, and the stream with them. */
async function peek(stream: AsyncIterable<Uint8Array>) {
  const iterator = stream[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < MAGIC_SIZE) {
    const next = await iterator.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { head, all: all() };
}

async function* metered(
  stream: AsyncIterable<Uint8Array>,
  progress: OnProgress,
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of stream) {
    yield chunk;
    done += chunk.length;
    progress({ step: 'read the archive', done, unit: 'bytes' });
  }
}
