import { type Attributes, sliceSource, VfsError } from '@anole/vfs';
import { PackageError } from '../package/errors.ts';
import type { UnpackedEntry, UnpackedPackage } from '../package/unpacked.ts';
import type { Rootfs } from './rootfs.ts';

/** True for paths (without leading slash) that are to be left out of the image. */
export type Exclude = (path: string) => boolean;

/**
 * Puts a package's files into the root file system as dpkg does: a directory that is there stays as
 * it is, also where a symbolic link stands for it (merged /usr); a file replaces another's. Contents
 * stay in the cache.
 *
 * @throws PackageError `DEB_BAD_CONTROL` where the package's files cannot be placed.
 */
export function placePackage(rootfs: Rootfs, unpacked: UnpackedPackage, exclude: Exclude): void {
  for (const entry of unpacked.entries) {
    if (entry.path !== '' && exclude(entry.path)) continue;
    try {
      placeEntry(rootfs, entry, unpacked);
    } catch (error) {
      if (!(error instanceof VfsError)) throw error;
      throw new PackageError(
        'DEB_BAD_CONTROL',
        `Cannot place ${JSON.stringify(entry.path)} of a package: ${error.message}`,
        { cause: error },
      );
    }
  }
}

function placeEntry({ tree }: Rootfs, entry: UnpackedEntry, unpacked: UnpackedPackage): void {
  const { path, target = '' } = entry;
  const attributes = attributesOf(entry);
  switch (entry.type) {
    case 'directory':
      if (path !== '' && tree.find(path)?.type === 'directory') return;
      tree.putDirectory(path, attributes);
      return;
    case 'file': {
      const content = sliceSource(unpacked.contents, entry.offset ?? 0, entry.size ?? 0);
      tree.putFile(path, content, attributes);
      return;
    }
    case 'symlink':
      tree.putSymlink(path, target, attributes);
      return;
    case 'hardlink':
      // Its target may have been left out; the file itself was asked for, so it comes by this name.
      if (tree.find(target, { followSymlinks: false })) tree.putLink(path, target);
      else placeLinked(tree, path, target, unpacked);
      return;
    default:
      tree.putSpecial(path, entry.type, attributes);
  }
}

function placeLinked(
  tree: Rootfs['tree'],
  path: string,
  target: string,
  unpacked: UnpackedPackage,
): void {
  const file = unpacked.entries.find((entry) => entry.path === target && entry.type === 'file');
  if (file === undefined) {
    throw new VfsError('VFS_NOT_FOUND', `it is a hard link to ${target}, which is not there`);
  }
  const content = sliceSource(unpacked.contents, file.offset ?? 0, file.size ?? 0);
  tree.putFile(path, content, attributesOf(file));
}

function attributesOf(entry: UnpackedEntry): Attributes {
  const { mode, uid, gid, mtime, rdev, xattrs } = entry;
  return {
    mode,
    uid,
    gid,
    mtime: { seconds: mtime, nanoseconds: 0 },
    ...(rdev && { rdev }),
    ...(xattrs && { xattrs: decodeXattrs(xattrs) }),
  };
}

function decodeXattrs(xattrs: Readonly<Record<string, string>>): Map<string, Uint8Array> {
  return new Map(
    Object.entries(xattrs).map(([name, value]) => [
      name,
      new Uint8Array(Buffer.from(value, 'base64')),
    ]),
  );
}
