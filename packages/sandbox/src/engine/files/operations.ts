import { setImmediate as turn } from 'node:timers/promises';
import { VfsError, type WritableNode } from '@anole/vfs';
import type { FileInfo, NewFileOptions } from '../../files/messages.ts';
import { type Changes, done } from './changes.ts';
import {
  changeable,
  type Namespace,
  nameOf,
  notFound,
  type Place,
  type Spot,
} from './namespace.ts';
import { type Owner, ownerOf } from './owner.ts';

/** Entries that one listing gives at most. */
const MAX_ENTRIES = 200_000;
/** Things removed before the machine and other calls get a turn. */
const REMOVALS_PER_TURN = 500;

export async function infoOf({ node, path }: Place): Promise<FileInfo> {
  const { type, size, mode, uid, gid, mtime } = node.stat;
  const target = type === 'symlink' ? await node.readLink() : undefined;
  return {
    name: nameOf(path),
    path,
    type,
    size,
    mode,
    uid,
    gid,
    mtime: mtime.seconds * 1000 + mtime.nanoseconds / 1e6,
    ...(target !== undefined && { target }),
  };
}

/** What is in a directory, and `depth` - 1 levels below it. Symbolic links are not followed. */
export async function list(names: Namespace, path: string, depth: number): Promise<FileInfo[]> {
  const found: FileInfo[] = [];
  let level: string[] = [(await names.at(path)).path];
  for (let left = depth; left > 0 && level.length > 0; left--) {
    const below: string[] = [];
    for (const directory of level) {
      for (const info of await entries(names, directory)) {
        if (found.push(info) > MAX_ENTRIES) throw tooMany(path);
        if (info.type === 'directory') below.push(info.path);
      }
    }
    level = below;
  }
  return found;
}

async function entries(names: Namespace, directory: string): Promise<FileInfo[]> {
  const place = await names.at(directory, false);
  const all: FileInfo[] = [];
  for (const { name } of await place.node.list()) {
    const path = directory === '/' ? `/${name}` : `${directory}/${name}`;
    const spot = await names.go(path, { follow: false }).catch(() => undefined);
    if (spot?.found === undefined) continue;
    all.push(await infoOf(spot.found));
    done(spot.found.mount, spot.found.node);
  }
  return all;
}

function tooMany(path: string): VfsError {
  return new VfsError('VFS_TOO_LARGE', `Cannot list ${path}: more than ${MAX_ENTRIES} entries`, {
    hint: 'List a directory further down, or fewer levels',
  });
}

/** Who owns what is made, and how directories on the way are made. */
export interface Making {
  readonly names: Namespace;
  readonly changes: Changes;
  readonly owner: Owner | undefined;
}

export async function making(
  names: Namespace,
  changes: Changes,
  { user }: NewFileOptions,
): Promise<Making> {
  const owner = user === undefined ? undefined : await ownerOf(names, user);
  return { names, changes, owner };
}

const root: Owner = { uid: 0, gid: 0 };

async function makeIn(
  { changes, owner = root }: Making,
  parent: Place,
  name: string,
  mode: number,
): Promise<WritableNode> {
  const made = await changeable(parent).create(name, { type: 'directory', mode, ...owner });
  changes.name(parent, name, { kind: 'create', path: join(parent.path, name) });
  return made;
}

/** Makes a directory, and those above it, where they are missing. */
export async function makeDirectory(make: Making, path: string, mode?: number): Promise<Place> {
  const spot = await go(make, path);
  const { parent, name, found } = spot;
  if (found === undefined) {
    const node = await makeIn(make, parent, name, mode ?? 0o755);
    return { mount: parent.mount, node, path: spot.path };
  }
  if (found.node.stat.type !== 'directory') {
    throw new VfsError('VFS_EXISTS', `Cannot make the directory ${path}: it is something else`);
  }
  return found;
}

function go(make: Making, path: string): Promise<Spot> {
  const makeMissing = (parent: Place, name: string) => makeIn(make, parent, name, 0o755);
  return make.names.go(path, { follow: true, make: makeMissing });
}

/** A file that has no name yet; it takes the place of what stands there when all is in it. */
export interface Staged {
  readonly node: WritableNode;
  readonly spot: Spot;
  readonly temporary: string | undefined;
}

let staged = 0;

/**
 * Makes the file that will stand at a path. It is another file than the one there, so that who has that
 * open, or mapped, keeps what they have, and the guest's kernel has nothing of the new one.
 */
export async function stage(make: Making, path: string, { mode }: NewFileOptions): Promise<Staged> {
  const spot = await go(make, path);
  const { parent, found } = spot;
  const there = found?.node.stat;
  if (there?.type === 'directory' || spot.name === '') {
    throw new VfsError('VFS_IS_DIRECTORY', `Cannot write ${path}: it is a directory`);
  }
  if (there !== undefined && there.type !== 'file') {
    throw new VfsError('VFS_NOT_FILE', `Cannot write ${path}: it is a ${there.type}`);
  }
  const owner = make.owner ?? (there === undefined ? root : { uid: there.uid, gid: there.gid });
  const kept = there === undefined ? 0o644 : there.mode & 0o1777;
  const what = { type: 'file', mode: mode ?? kept, ...owner } as const;
  const directory = changeable(parent);
  if (directory.createUnnamed !== undefined) {
    return { node: await directory.createUnnamed(what), spot, temporary: undefined };
  }
  const temporary = `.anole-${process.pid}-${++staged}`;
  return { node: await directory.create(temporary, what), spot, temporary };
}

/** Puts a staged file in its place, at once. */
export async function put(staged: Staged, changes: Changes): Promise<Place> {
  const { node, spot } = staged;
  const { parent, name, path } = spot;
  const directory = changeable(parent);
  const there = await directory.lookup(name);
  const temporary = staged.temporary ?? `.anole-${process.pid}-${node.stat.ino}`;
  if (there === undefined && staged.temporary === undefined) await directory.link(name, node);
  else {
    if (staged.temporary === undefined) await directory.link(temporary, node);
    await directory.rename(temporary, directory, name);
  }
  changes.name(parent, name, { kind: there === undefined ? 'create' : 'write', path });
  if (there !== undefined) done(parent.mount, there);
  return { mount: parent.mount, node, path };
}

export async function discard({ node, spot, temporary }: Staged): Promise<void> {
  if (temporary !== undefined) await changeable(spot.parent).unlink(temporary);
  done(spot.parent.mount, node);
}

export async function remove(
  names: Namespace,
  changes: Changes,
  path: string,
  recursive: boolean,
): Promise<void> {
  const { parent, name, found, path: real } = await names.go(path, { follow: false });
  if (found === undefined) throw notFound(path);
  await names.checkMovable(real);
  const directory = changeable(parent);
  if (found.node.stat.type !== 'directory') await directory.unlink(name);
  else {
    if (recursive) await empty(changeable(found), { count: 0 });
    await directory.removeDirectory(name);
  }
  changes.name(parent, name, { kind: 'remove', path: real });
  done(parent.mount, found.node);
}

/** Removes all that is in a directory. */
async function empty(directory: WritableNode, progress: { count: number }): Promise<void> {
  for (const { name, type } of await directory.list()) {
    if (++progress.count % REMOVALS_PER_TURN === 0) await turn();
    if (type === 'directory') {
      const below = await directory.lookup(name);
      if (below !== undefined) await empty(below, progress);
      await directory.removeDirectory(name);
    } else await directory.unlink(name);
  }
}

/** Gives a file or directory another name, over a file that has it, as rename(2). */
export async function move(make: Making, from: string, to: string): Promise<void> {
  const source = await make.names.go(from, { follow: false });
  if (source.found === undefined) throw notFound(from);
  await make.names.checkMovable(source.path);
  const target = await go({ ...make, owner: undefined }, to).then((spot) => into(spot, source));
  await make.names.checkMovable(target.path);
  const { mount, node } = source.found;
  if (mount !== target.parent.mount) {
    throw new VfsError('VFS_CROSS_DEVICE', `Cannot move ${from} to ${to}: one is in a volume`, {
      hint: 'Write it there and remove it here',
    });
  }
  const directory = changeable(source.parent);
  await directory.rename(source.name, changeable(target.parent), target.name);
  make.changes.name(source.parent, source.name);
  make.changes.name(target.parent, target.name, {
    kind: 'rename',
    path: target.path,
    from: source.path,
  });
  if (node.stat.type === 'directory') mount.server.moved(node.stat.ino);
}

/** A directory as the target: under its own name in there, as mv(1). */
function into(target: Spot, { name, found }: Spot): Spot {
  const directory = target.found;
  if (directory?.node.stat.type !== 'directory' || directory.node === found?.node) return target;
  const path = join(directory.path, name);
  return { parent: directory, name, path, found: undefined };
}

export function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}
