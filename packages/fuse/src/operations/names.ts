import { type Awaitable, chain, type Flow, flow, wait } from '@anole/bytes';
import type { NewNode, WritableNode } from '@anole/vfs';
import { decodeDevice } from '@anole/vfs';
import { typeOfNode, writeEntry } from '../attributes.ts';
import { badRequest, Errno, refused } from '../errors.ts';
import { RenameFlag } from '../layout/flags.ts';
import { EntryOut, OpenOut } from '../layout/replies.ts';
import {
  CreateIn,
  InHeader,
  LinkIn,
  MkdirIn,
  MknodIn,
  Rename2In,
  RenameIn,
} from '../layout/requests.ts';
import type { KnownNode } from '../nodes.ts';
import type { Reply } from '../replies.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';

const SET_GID = 0o2000;
const FOPEN_KEEP_CACHE = 2;

export function lookup(session: Session, request: Request): Awaitable<Reply> {
  const parent = session.known(request);
  const name = request.name(InHeader.size);
  return chain(parent.node.lookup(name), (node) => {
    if (node !== undefined) return session.entry(request, node, parent, name);
    if (!session.exclusive || session.terms.entry === 0 || !session.nodes.absent(parent, name)) {
      return session.replies.error(request, Errno.ENOENT);
    }
    // Node 0 for so long: the kernel need not ask for this name again.
    return session.replies.ok(request, EntryOut.size, (view, at) => {
      EntryOut.at(view, at).entryValid = session.terms.entry;
    });
  });
}

export function mknod(session: Session, request: Request): Awaitable<Reply> {
  const { mode, rdev } = request.args(MknodIn);
  const type = typeOfNode(mode);
  if (type === undefined || type === 'directory' || type === 'symlink') {
    throw badRequest(`a node of mode ${mode.toString(8)} cannot be made`);
  }
  const isDevice = type === 'character' || type === 'block';
  const device = isDevice ? { rdev: decodeDevice(rdev) } : {};
  return make(session, request, InHeader.size + MknodIn.size, { type, mode, ...device });
}

export function mkdir(session: Session, request: Request): Awaitable<Reply> {
  const { mode } = request.args(MkdirIn);
  return make(session, request, InHeader.size + MkdirIn.size, { type: 'directory', mode });
}

export function symlink(session: Session, request: Request): Awaitable<Reply> {
  const target = request.text(request.text(InHeader.size).end).value;
  return make(session, request, InHeader.size, { type: 'symlink', mode: 0o777, target });
}

function make(
  session: Session,
  request: Request,
  nameAt: number,
  what: Omit<NewNode, 'uid' | 'gid'>,
): Awaitable<Reply> {
  const parent = session.known(request);
  const directory = session.changeable(parent);
  const name = request.name(nameAt);
  if (session.drops.covers(request, parent, name)) {
    session.nodes.unname(parent, name);
    throw refused(Errno.EEXIST, 'a name that the kernel only had to drop');
  }
  const made = directory.create(name, owned(request, directory, what));
  return chain(made, (node) => {
    const reply = session.entry(request, node, parent, name);
    session.note('create', parent, name);
    return reply;
  });
}

/**
 * Gives a new node its owner: who asked, but for the group of a set-gid directory, which also makes
 * the directories in it set-gid (inode_init_owner of the kernel, which FUSE leaves to the server).
 * The umask was applied by the kernel.
 */
function owned(
  request: Request,
  directory: WritableNode,
  what: Omit<NewNode, 'uid' | 'gid'>,
): NewNode {
  const above = directory.stat;
  const inherits = (above.mode & SET_GID) !== 0;
  const mode = (what.mode & 0o7777) | (inherits && what.type === 'directory' ? SET_GID : 0);
  return { ...what, mode, uid: request.uid, gid: inherits ? above.gid : request.gid };
}

/** Makes a file and opens it. The kernel asks only where it knows the name to be free. */
export function create(session: Session, request: Request): Awaitable<Reply> {
  const parent = session.known(request);
  const directory = session.changeable(parent);
  const { mode } = request.args(CreateIn);
  const name = request.name(InHeader.size + CreateIn.size);
  const what = owned(request, directory, { type: 'file', mode });
  return chain(directory.create(name, what), (node) => {
    const reply = opened(session, request, node, parent, name);
    session.note('create', parent, name);
    return reply;
  });
}

export function tmpfile(session: Session, request: Request): Awaitable<Reply> {
  const parent = session.known(request);
  const directory = session.changeable(parent);
  if (directory.createUnnamed === undefined) throw refused(Errno.EOPNOTSUPP, 'O_TMPFILE');
  const { mode } = request.args(CreateIn);
  const what = owned(request, directory, { type: 'file', mode });
  return chain(directory.createUnnamed(what), (node) => opened(session, request, node, parent));
}

function opened(
  session: Session,
  request: Request,
  node: WritableNode,
  parent: KnownNode,
  name?: string,
): Reply {
  const { stat } = node;
  const known = session.nodes.remember(node, stat, parent.ino);
  if (name !== undefined) session.nodes.name(parent, name, known);
  const { nodeid } = known;
  return session.replies.ok(request, EntryOut.size + OpenOut.size, (view, at) => {
    writeEntry(view, at, nodeid, stat, session.terms);
    OpenOut.at(view, at + EntryOut.size).openFlags = session.exclusive ? FOPEN_KEEP_CACHE : 0;
  });
}

export function link(session: Session, request: Request): Awaitable<Reply> {
  const parent = session.known(request);
  const directory = session.changeable(parent);
  const node = session.changeable(session.nodes.get(request.args(LinkIn).oldNodeid));
  const name = request.name(InHeader.size + LinkIn.size);
  return chain(directory.link(name, node), () => {
    const reply = session.entry(request, node, parent, name);
    session.note('create', parent, name);
    return reply;
  });
}

export function unlink(session: Session, request: Request): Awaitable<Reply> {
  return remove(session, request, (directory, name) => directory.unlink(name));
}

export function rmdir(session: Session, request: Request): Awaitable<Reply> {
  return remove(session, request, (directory, name) => directory.removeDirectory(name));
}

function remove(
  session: Session,
  request: Request,
  act: (directory: WritableNode, name: string) => Awaitable<void>,
): Awaitable<Reply> {
  const parent = session.known(request);
  const directory = session.changeable(parent);
  const name = request.name(InHeader.size);
  const drop = session.drops.covers(request, parent, name);
  return chain(drop ? undefined : act(directory, name), () => {
    session.nodes.unname(parent, name);
    if (!drop) session.note('remove', parent, name);
    return session.replies.ok(request, 0);
  });
}

export function rename(session: Session, request: Request): Awaitable<Reply> {
  const { newDirectory } = request.args(RenameIn);
  return flow(() => move(session, request, newDirectory, InHeader.size + RenameIn.size, 0));
}

export function rename2(session: Session, request: Request): Awaitable<Reply> {
  const { newDirectory, flags } = request.args(Rename2In);
  return flow(() => move(session, request, newDirectory, InHeader.size + Rename2In.size, flags));
}

function* move(
  session: Session,
  request: Request,
  newDirectory: number,
  namesAt: number,
  flags: number,
): Flow<Reply> {
  const above = session.known(request);
  const newAbove = session.nodes.get(newDirectory);
  const from = session.changeable(above);
  const to = session.changeable(newAbove);
  const [name, newName] = request.names(namesAt);
  const noReplace = (flags & RenameFlag.NOREPLACE) !== 0;
  const exchange = (flags & RenameFlag.EXCHANGE) !== 0;
  // RENAME_WHITEOUT would leave a device node behind, which is for overlayfs on top of us: it does
  // without where a file system refuses.
  if ((flags & ~(RenameFlag.NOREPLACE | RenameFlag.EXCHANGE)) !== 0 || (noReplace && exchange)) {
    throw badRequest(`rename flags ${flags} are not served`);
  }
  yield* wait(from.rename(name, to, newName, { noReplace, exchange }));
  const moved = session.nodes.unname(above, name);
  const other = session.nodes.unname(newAbove, newName);
  if (moved !== undefined) session.nodes.name(newAbove, newName, moved);
  if (exchange && other !== undefined) session.nodes.name(above, name, other);
  noteMove(session, above, name, newAbove, newName);
  return session.replies.ok(request, 0);
}

function noteMove(
  session: Session,
  above: KnownNode,
  name: string,
  newAbove: KnownNode,
  newName: string,
): void {
  if (session.observer === undefined) return;
  const before = session.nodes.pathOf(above);
  session.note('rename', newAbove, newName, before && [...before, name]);
}
