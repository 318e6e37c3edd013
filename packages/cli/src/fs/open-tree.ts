import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hostError } from '@anole/host';
import type { Tree } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { type DeviceFlags, isUrl, OpenImage } from './image.ts';
import { openInput } from './input.ts';

/** The superblock of EROFS begins there, with these bytes. */
const SUPERBLOCK = 1024;
const MAGIC = 'e2e1f5e0';

/** A tree that is open until it is disposed of. */
export interface OpenTree extends AsyncDisposable {
  readonly tree: Tree;
}

/** How trees are opened. */
interface TreeFlags extends DeviceFlags {
  /**
   * What is made of it: an archive that must be decompressed goes through a file beside it. `-`, and
   * unless told, through one in the directory for temporary ones.
   */
  readonly output?: string;
  /** Of a directory, whether extended attributes are read. True unless told. */
  readonly xattrs?: boolean;
}

/** Transports of container images, in front of their names. */
const containers = /^(?:docker:\/\/|(?:oci|oci-archive|docker-archive|image|indexed):)/;

/**
 * Opens what a user named: an EROFS image here or at a URL, a container image (`image:NAME` for one
 * that was pulled, `indexed:…` for any one read through its index), a directory, or a tar archive.
 */
export async function openTree(
  name: string,
  context: CommandContext,
  { output = '-', xattrs = true, device }: TreeFlags = {},
): Promise<OpenTree> {
  if (containers.test(name) || existsSync(join(name, 'oci-layout'))) {
    const { openContainer, openIndexed } = await import('../image/tree.ts');
    const plain = name.replace(/^(?:image|indexed):/, '');
    return await (name.startsWith('indexed:') ? openIndexed : openContainer)(plain, context);
  }
  if (isUrl(name) || isImage(name)) {
    return await OpenImage.open(name, 'much', context.signal, { ...(device && { device }) });
  }
  const input = await openInput(name, { output, xattrs }, context);
  return {
    tree: input.tree,
    [Symbol.asyncDispose]: async () => input[Symbol.dispose](),
  };
}

function isImage(name: string): boolean {
  if (name === '-') return false;
  try {
    if (!statSync(name).isFile()) return false;
    const fd = openSync(name, 'r');
    try {
      const head = Buffer.alloc(4);
      return readSync(fd, head, 0, 4, SUPERBLOCK) === 4 && head.toString('hex') === MAGIC;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw hostError(error, `open ${name}`);
  }
}
