import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hostError } from '@anole/host';
import { type Attributes, VfsError } from '@anole/vfs';
import type { PlacedFile, Recipe } from '../recipe/recipe.ts';
import type { Accounts } from '../replay/accounts.ts';
import type { Rootfs } from '../replay/rootfs.ts';
import { BuildError } from './errors.ts';

/** Files of recipes are configuration: what is larger belongs into a package. */
const FILE_LIMIT = 64 * 1024 * 1024;

/** A recipe's file with its content read, so that images can be named for what is in them. */
export type ReadFile = PlacedFile & { readonly bytes?: Uint8Array };

/** Reads the sources that a recipe's files name. @throws BuildError `BUILD_BAD_FILE`; HostError */
export async function readFiles(recipe: Recipe): Promise<ReadFile[]> {
  return Promise.all(
    recipe.files.map(async (file) => {
      if ('content' in file) return { ...file, bytes: new TextEncoder().encode(file.content) };
      if (!('source' in file)) return file;
      return { ...file, bytes: await readSource(join(file.base, file.source)) };
    }),
  );
}

async function readSource(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size <= FILE_LIMIT) return await readFile(path);
    throw new BuildError(
      'BUILD_BAD_FILE',
      `Cannot take ${path} into the image: it has ${size} bytes`,
      {
        hint: `A recipe's files have at most ${FILE_LIMIT} bytes.`,
      },
    );
  } catch (error) {
    throw hostError(error, `read the recipe's file ${path}`);
  }
}

/** Puts the recipe's own files in, over what is there. @throws BuildError `BUILD_BAD_FILE` */
export function placeFiles(rootfs: Rootfs, files: readonly ReadFile[]): void {
  for (const file of files) {
    try {
      placeFile(rootfs, file);
    } catch (error) {
      if (!(error instanceof VfsError)) throw error;
      throw new BuildError(
        'BUILD_BAD_FILE',
        `Cannot put ${file.path} into the image: ${error.message}`,
        {
          cause: error,
        },
      );
    }
  }
}

function placeFile(rootfs: Rootfs, file: ReadFile): void {
  if ('link' in file) {
    rootfs.symlink(file.path, file.link);
    return;
  }
  const attributes: Attributes = {
    ...(file.mode === undefined ? {} : { mode: Number.parseInt(file.mode, 8) }),
    ...(file.owner === undefined ? {} : { uid: file.owner }),
    ...(file.group === undefined ? {} : { gid: file.group }),
  };
  if ('directory' in file) {
    rootfs.mkdir(file.path);
    rootfs.at(file.path)?.change(attributes);
  } else rootfs.write(file.path, file.bytes ?? new Uint8Array(0), attributes);
}

/** Adds the recipe's users with their homes, filled from /etc/skel as adduser(8) does. */
export function addUsers(rootfs: Rootfs, accounts: Accounts, recipe: Recipe): void {
  for (const { name, uid, comment, home = `/home/${name}`, shell, groups = [] } of recipe.users) {
    if (accounts.users.some((user) => user.uid === uid && user.name !== name)) {
      throw new BuildError('BUILD_BAD_USER', `Cannot add the user ${name}: the id ${uid} is taken`);
    }
    const user = accounts.addUser(
      {
        name,
        home,
        comment: comment ?? '',
        shell: shell ?? '/bin/bash',
        ...(uid === undefined ? {} : { uid }),
      },
      'ordinary',
    );
    for (const group of groups) {
      accounts.addGroup(group, 'ordinary');
      accounts.addMember(group, name);
    }
    const owner = { uid: user.uid, gid: user.gid };
    rootfs.mkdir(home, { ...owner, mode: 0o755 });
    for (const file of rootfs.list('/etc/skel')) {
      rootfs.copyMissing(`/etc/skel/${file}`, `${home}/${file}`, owner);
    }
  }
}

/** What no package has and every system needs: names, time zone, mounts, the device nodes of old. */
export function completeSystem(rootfs: Rootfs, recipe: Recipe): void {
  const { hostname, environment } = recipe;
  for (const name of ['dev', 'proc', 'sys', 'run']) rootfs.mkdir(`/${name}`);
  rootfs.mkdir('/tmp', { mode: 0o1777 });
  rootfs.writeMissing('/etc/hostname', `${hostname}\n`);
  rootfs.writeMissing(
    '/etc/hosts',
    `127.0.0.1\tlocalhost\n127.0.1.1\t${hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n`,
  );
  rootfs.writeMissing('/etc/resolv.conf', '');
  // Empty: whoever boots the image first gives it its own.
  rootfs.writeMissing('/etc/machine-id', '', { mode: 0o444 });
  rootfs.writeMissing(
    '/etc/fstab',
    '# The root file system is mounted before this file is read.\n',
  );
  rootfs.writeMissing('/etc/timezone', 'Etc/UTC\n');
  if (rootfs.at('/etc/localtime') === undefined)
    rootfs.symlink('/etc/localtime', '/usr/share/zoneinfo/Etc/UTC');
  if (rootfs.at('/etc/mtab') === undefined) rootfs.symlink('/etc/mtab', '../proc/self/mounts');
  const { LANG } = environment;
  if (LANG !== undefined && rootfs.at('/etc/default/locale') === undefined) {
    rootfs.write('/etc/default/locale', `LANG=${LANG}\n`);
  }
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${quote(value)}\n`);
  if (!rootfs.find('/etc/environment')?.stat.size)
    rootfs.write('/etc/environment', variables.join(''));
  makeDevices(rootfs);
}

/** As pam_env(8) reads it. */
function quote(value: string): string {
  return /^[\w/:.,@%+=-]*$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

/** Enough to enter the tree with chroot; a booted system lays its own devtmpfs over them. */
const devices: readonly (readonly [string, number, number])[] = [
  ['console', 5, 1],
  ['full', 1, 7],
  ['null', 1, 3],
  ['ptmx', 5, 2],
  ['random', 1, 8],
  ['tty', 5, 0],
  ['urandom', 1, 9],
  ['zero', 1, 5],
];

function makeDevices(rootfs: Rootfs): void {
  const mtime = { seconds: rootfs.date, nanoseconds: 0 };
  for (const [name, major, minor] of devices) {
    const attributes = { mode: 0o666, rdev: { major, minor }, mtime };
    rootfs.tree.putSpecial(`/dev/${name}`, 'character', attributes);
  }
  rootfs.symlink('/dev/fd', '/proc/self/fd');
  for (const [index, name] of ['stdin', 'stdout', 'stderr'].entries()) {
    rootfs.symlink(`/dev/${name}`, `/proc/self/fd/${index}`);
  }
  rootfs.mkdir('/dev/pts');
  rootfs.mkdir('/dev/shm', { mode: 0o1777 });
}
