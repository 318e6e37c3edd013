import { readSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type ErofsImage, type Spool, type WriteOptions, writeErofs } from '@anole/erofs';
import { createFileAtomically, scratchFile } from '@anole/host';
import type { Tree } from '@anole/vfs';

export type ErofsFile = Pick<ErofsImage, 'size' | 'uuid' | 'inodes'>;

/**
 * Writes a tree as an image file that appears whole or not at all. Compressed data go to their place in
 * it at once; what else must wait, goes to nameless files beside it.
 *
 * @throws what `writeErofs` throws; HostError such as `HOST_NO_SPACE`
 */
export async function writeErofsFile(
  path: string,
  tree: Tree,
  options: WriteOptions = {},
): Promise<ErofsFile> {
  using scratch = new DisposableStack();
  const { signal, compression } = options;
  const spool = () => scratch.use(scratchFile(dirname(resolve(path))));
  let made: ErofsImage | undefined;
  await createFileAtomically(
    path,
    async (file) => {
      made = await writeErofs(tree, {
        ...options,
        target: fileSpool(file.fd),
        ...(compression && { compression: { spool, ...compression } }),
      });
      for await (const { offset, bytes } of made.parts()) writeAt(file.fd, offset, bytes);
      await file.truncate(made.size);
    },
    signal === undefined ? {} : { signal },
  );
  const { size, uuid, inodes } = made!;
  return { size, uuid, inodes };
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

/** Files answer at once: waiting for each part would take longer than writing it. */
function writeAt(fd: number, offset: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}
