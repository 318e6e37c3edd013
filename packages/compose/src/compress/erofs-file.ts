import { dirname, resolve } from 'node:path';
import {
  type BlobDevice,
  type ErofsImage,
  type Spool,
  type WriteOptions,
  writeErofs,
} from '@anole/erofs';
import { createFileAtomically, HostNode, readAt, scratchFile, writeAt } from '@anole/host';
import type { Tree } from '@anole/vfs';
import { checkFree } from './check-free.ts';
import { OldFile } from './old-file.ts';
import { SourceThreads } from './source-threads.ts';

/** So many bytes, or files, to copy are worth starting threads for. */
const FOR_THREADS = 64 * 1024 * 1024;
const FOR_THREADS_FILES = 10_000;
/** So many entries are worth starting threads that only list them: others compress. */
const FOR_LISTING = 25_000;

export type ErofsFile = Pick<ErofsImage, 'size' | 'uuid' | 'inodes' | 'blobSize'>;

/** Where an image goes, but for its path. */
export interface ErofsFilePlace {
  /** Another file, for the data of all files: the image then holds metadata alone. It appears before the image does. */
  readonly blob?: Pick<BlobDevice, 'tag'> & { readonly path: string };
  /**
   * Byte of the file at which the image begins, 0 unless told. Where it is not 0, what is there around it stays, and
   * so do owner, permissions and links that lead there.
   */
  readonly offset?: number;
}

/**
 * Writes a tree as an image file that appears whole or not at all. Compressed data and chunks go to
 * their place in it at once; what else must wait, goes to nameless files beside it.
 *
 * @throws what `writeErofs` throws; HostError such as `HOST_NO_SPACE`, or `HOST_NOT_FILE` for a device
 */
export async function writeErofsFile(
  path: string,
  tree: Tree,
  options: WriteOptions = {},
  { blob, offset = 0 }: ErofsFilePlace = {},
): Promise<ErofsFile> {
  using scratch = new DisposableStack();
  // What is in a directory of this machine is seen to by threads, where there is much of it.
  const { compression, signal } = options;
  const worth = compression && FOR_LISTING;
  await using threads = tree.root instanceof HostNode ? new SourceThreads(worth) : undefined;
  const atomic = signal === undefined ? {} : { signal };
  const old = offset > 0 ? await OldFile.at(path) : undefined;
  const at = old?.path ?? path;
  const spool = () => scratch.use(scratchFile(dirname(resolve(at))));
  const all = {
    ...options,
    ...(threads && { list: threads.ahead.list }),
    ...(compression && { compression: { spool, ...compression } }),
  };
  let made: ErofsImage | undefined;
  await createFileAtomically(
    at,
    async (file) => {
      await old?.giveOwner(file);
      const write = async (more: WriteOptions) => {
        made = await writeErofs(tree, { ...all, target: fileSpool(file.fd, offset), ...more });
        checkFree(resolve(at), made.plain.bytes);
        await writeParts(file.fd, offset, made, threads, options);
        const end = offset + made.size;
        const there = await old?.copyAround(file.fd, offset, end, signal);
        await file.truncate(Math.max(end, there ?? 0));
      };
      if (blob === undefined) return await write({});
      const device = (fd: number) => ({ blob: { ...blob, device: fileSpool(fd) } });
      await createFileAtomically(blob.path, ({ fd }) => write(device(fd)), atomic);
    },
    { ...atomic, ...(old && { mode: 0o600 }) },
  );
  const { size, uuid, inodes, blobSize } = made!;
  return { size, uuid, inodes, blobSize };
}

/** Writes what is left of an image; what files of a directory hold, by threads where it is much. */
async function writeParts(
  fd: number,
  start: number,
  image: ErofsImage,
  threads: SourceThreads | undefined,
  { blockSize = 4096 }: WriteOptions,
): Promise<void> {
  const { files, bytes } = image.plain;
  const isWorth = bytes >= FOR_THREADS || files >= FOR_THREADS_FILES;
  if (!isWorth || threads === undefined) {
    for await (const { offset, bytes } of image.parts()) writeAt(fd, start + offset, bytes);
    return;
  }
  const copying = threads.copyTo(fd, start, blockSize);
  try {
    for await (const part of image.parts({ copies: true })) {
      const full = part.copies && copying.put(part);
      if (full) await full;
      else if (!part.copies) writeAt(fd, start + part.offset, part.bytes);
    }
    await copying.finish();
  } catch (error) {
    // They know the file by its number, which is another's soon after it is closed.
    await threads.stop();
    throw error;
  }
}

function fileSpool(fd: number, start = 0): Spool {
  return {
    write: (offset, bytes) => writeAt(fd, start + offset, bytes),
    read(offset, length) {
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, readAt(fd, start + offset, bytes));
    },
  };
}
