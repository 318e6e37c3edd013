import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hostError } from '@anole/host';
import { hasTransport } from '@anole/oci/transports';
import type { Tree } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { type DeviceFlags, isUrl, OpenImage } from './image.ts';
import { openInput } from './input.ts';

/** The superblock of EROFS begins there, with these bytes. */
const SUPERBLOCK = 1024;
const MAGIC = 'e2e1f5e0';
/** RAFS v5 begins with these. */
const V5_MAGIC = '53464152';

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

/** In front of names of images that were pulled, and of any that are read through their indexes. */
const ours = /^(?:image|indexed):/;

/**
 * Opens what a user named: an EROFS or RAFS image here or at a URL, a container image (`image:NAME` for one
 * that was pulled, `indexed:…` for any one read through its index), a directory, or a tar archive.
 */
export async function openTree(
  name: string,
  context: CommandContext,
  { output = '-', xattrs = true, device }: TreeFlags = {},
): Promise<OpenTree> {
  if (ours.test(name) || hasTransport(name) || existsSync(join(name, 'oci-layout'))) {
    const { openContainer, openIndexed } = await import('../image/tree.ts');
    const plain = name.replace(ours, '');
    return await (name.startsWith('indexed:') ? openIndexed : openContainer)(plain, context);
  }
  if (isUrl(name) || isImage(name)) {
    return await OpenImage.open(name, 'much', context.signal, { ...(device && { device }) });
  }
  if (isRafs(name)) {
    const { openRafsFile } = await import('../nydus/open.ts');
    const opened = await openRafsFile(name);
    return { tree: opened.image, [Symbol.asyncDispose]: async () => opened[Symbol.dispose]() };
  }
  const input = await openInput(name, { output, xattrs }, context);
  return {
    tree: input.tree,
    [Symbol.asyncDispose]: async () => input[Symbol.dispose](),
  };
}

function isImage(name: string): boolean {
  return bytesAt(name, () => SUPERBLOCK, 4) === MAGIC;
}

/** A bootstrap of RAFS v5, or a blob that ends with the tar header of its table or its bootstrap. */
function isRafs(name: string): boolean {
  if (bytesAt(name, () => 0, 4) === V5_MAGIC) return true;
  const end = Buffer.from(
    bytesAt(name, (size) => size - 512, 16),
    'hex',
  ).toString('latin1');
  return /^(?:rafs\.blob\.toc|image\.boot)\0/.test(end);
}

/** Hexadecimal digits of bytes of a file; fewer where it ends before, none of what is no file. */
function bytesAt(name: string, offset: (size: number) => number, length: number): string {
  if (name === '-') return '';
  try {
    const stat = statSync(name);
    const at = offset(stat.size);
    if (!(stat.isFile() || stat.isBlockDevice()) || at < 0) return '';
    const fd = openSync(name, 'r');
    try {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, at)).toString('hex');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw hostError(error, `open ${name}`);
  }
}
