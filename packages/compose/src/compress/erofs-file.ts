import { readSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  type BlobDevice,
  type ErofsImage,
  type Spool,
  type WriteOptions,
  writeErofs,
} from '@anole/erofs';
import { createFileAtomically, HostNode, scratchFile, writeAt } from '@anole/host';
import type { Tree } from '@anole/vfs';
import { SourceThreads } from './source-threads.ts';

/** So many bytes, or files, to copy are worth starting threads for. */
const FOR_THREADS = 64 * 1024 * 1024;
const FOR_THREADS_FILES = 10_000;

export type ErofsFile = Pick<ErofsImage, 'size' | 'uuid' | 'inodes' | 'blobSize'>;

/**
 * Writes a tree as an image file that appears whole or not at all. Compressed data and chunks go to
 * their place in it at once; what else must wait, goes to nameless files beside it.
 *
 * @param blob another file, for the data of all files: the image then holds metadata alone. It appears
 *   before the image does
 * @throws what `writeErofs` throws; HostError such as `HOST_NO_SPACE`
 */
export async function writeErofsFile(
  path: string,
  tree: Tree,
  options: WriteOptions = {},
  blob?: Pick<BlobDevice, 'tag'> & { readonly path: string },
): Promise<ErofsFile> {
  using scratch = new DisposableStack();
  // What is in a directory of this machine is seen to by threads, where there is much of it.
  await using threads = tree.root instanceof HostNode ? new SourceThreads() : undefined;
  const { compression } = options;
  const atomic = options.signal === undefined ? {} : { signal: options.signal };
  const spool = () => scratch.use(scratchFile(dirname(resolve(path))));
  const all = {
    ...options,
    ...(threads && { list: threads.ahead.list }),
    ...(compression && { compression: { spool, ...compression } }),
  };
  let made: ErofsImage | undefined;
  await createFileAtomically(
    path,
    async (file) => {
      const write = async (more: WriteOptions) => {
        made = await writeErofs(tree, { ...all, target: fileSpool(file.fd), ...more });
        await writeParts(file.fd, made, threads, options);
        await file.truncate(made.size);
      };
      if (blob === undefined) return await write({});
      const device = (fd: number) => ({ blob: { ...blob, device: fileSpool(fd) } });
      await createFileAtomically(blob.path, ({ fd }) => write(device(fd)), atomic);
    },
    atomic,
  );
  const { size, uuid, inodes, blobSize } = made!;
  return { size, uuid, inodes, blobSize };
}

/** Writes what is left of an image; what files of a directory hold, by threads where it is much. */
async function writeParts(
  fd: number,
  image: ErofsImage,
  threads: SourceThreads | undefined,
  { blockSize = 4096 }: WriteOptions,
): Promise<void> {
  const { files, bytes } = image.plain;
  const isWorth = bytes >= FOR_THREADS || files >= FOR_THREADS_FILES;
  if (!isWorth || threads === undefined) {
    for await (const { offset, bytes } of image.parts()) writeAt(fd, offset, bytes);
    return;
  }
  const copying = threads.copyTo(fd, blockSize);
  for await (const part of image.parts({ copies: true })) {
    const full = part.copies && copying.put(part);
    if (full) await full;
    else if (!part.copies) writeAt(fd, part.offset, part.bytes);
  }
  await copying.finish();
}

function fileSpool(fd: number): Spool {
  return {
    write: (offset, bytes) => writeAt(fd, offset, bytes),
    read(offset, length) {
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    },
  };
}
