import { type Awaitable, chain, encodeName, type Flow, flow, wait } from '@anole/bytes';
import {
  isWritable,
  type Stat,
  type StatChange,
  type Timestamp,
  type WritableNode,
} from '@anole/vfs';
import { writeAttrOut } from '../attributes.ts';
import { badRequest } from '../errors.ts';
import { SetattrFlag } from '../layout/flags.ts';
import { AttrOut, StatfsOut } from '../layout/replies.ts';
import { SetattrIn } from '../layout/requests.ts';
import type { Reply } from '../replies.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';
import { dropCapability } from './xattrs.ts';

const SET_UID = 0o4000;
const SET_GID = 0o2000;
const GROUP_EXECUTE = 0o010;
const NAME_MAX = 255;

export function getattr(session: Session, request: Request): Reply {
  return attributes(session, request, session.known(request).node.stat);
}

function attributes(session: Session, request: Request, stat: Stat): Reply {
  return session.replies.ok(request, AttrOut.size, (view, at) =>
    writeAttrOut(view, at, stat, session.terms),
  );
}

export function setattr(session: Session, request: Request): Awaitable<Reply> {
  const known = session.known(request);
  const node = session.changeable(known);
  if (session.drops.covers(request, known, '')) return attributes(session, request, node.stat);
  return flow(function* () {
    const change = changeFrom(request, node.stat, session.now());
    if (change.size !== undefined || change.uid !== undefined || change.gid !== undefined) {
      yield* dropCapability(known, node);
    }
    yield* wait(node.change(change));
    session.note(change.size === undefined ? 'attributes' : 'write', known);
    return attributes(session, request, node.stat);
  });
}

function changeFrom(request: Request, stat: Stat, now: Timestamp): StatChange {
  const asked = request.args(SetattrIn);
  const { valid } = asked;
  const has = (flag: number): boolean => (valid & flag) !== 0;
  const change: { -readonly [K in keyof StatChange]: StatChange[K] } = {};
  if (has(SetattrFlag.UID)) change.uid = asked.uid;
  if (has(SetattrFlag.GID)) change.gid = asked.gid;
  if (has(SetattrFlag.SIZE)) change.size = asked.size;
  if (has(SetattrFlag.MODE)) change.mode = asked.mode & 0o7777;
  else if (losesPrivilege(valid, stat)) change.mode = withoutPrivilege(stat.mode);
  if (has(SetattrFlag.ATIME_NOW)) change.atime = now;
  else if (has(SetattrFlag.ATIME)) change.atime = time(asked.atime, asked.atimeNanoseconds);
  if (has(SetattrFlag.MTIME_NOW)) change.mtime = now;
  else if (has(SetattrFlag.MTIME)) change.mtime = time(asked.mtime, asked.mtimeNanoseconds);
  return change;
}

function time(seconds: number, nanoseconds: number): Timestamp {
  if (nanoseconds > 999_999_999) throw badRequest(`${nanoseconds} nanoseconds`);
  return { seconds, nanoseconds };
}

/**
 * Whether set-uid and set-gid go with this change: with a new owner always, with a new size where the
 * kernel says so (linux/fuse.h, FUSE_HANDLE_KILLPRIV_V2).
 */
function losesPrivilege(valid: number, stat: Stat): boolean {
  if (stat.type === 'directory') return false;
  const owner = SetattrFlag.UID | SetattrFlag.GID;
  return (valid & (owner | SetattrFlag.KILL_SUIDGID)) !== 0;
}

/** A set-gid bit without group execution means mandatory locking, and stays. */
function withoutPrivilege(mode: number): number {
  const killed = (mode & GROUP_EXECUTE) !== 0 ? SET_UID | SET_GID : SET_UID;
  return mode & ~killed;
}

/** Takes set-uid and set-gid from a file that somebody without the right to keep them writes. */
export function* killPrivilege(node: WritableNode): Flow<void> {
  const { mode } = node.stat;
  const without = withoutPrivilege(mode);
  if (without !== mode) yield* wait(node.change({ mode: without }));
}

export function readlink(session: Session, request: Request): Awaitable<Reply> {
  const target = session.known(request).node.readLink();
  return chain(target, (text) => session.replies.data(request, encodeName(text)));
}

export function statfs(session: Session, request: Request): Awaitable<Reply> {
  const { tree } = session;
  const nothing = { blockSize: 4096, blocks: 0, freeBlocks: 0, files: 0, freeFiles: 0 };
  return chain(isWritable(tree) ? tree.usage() : nothing, (usage) =>
    session.replies.ok(request, StatfsOut.size, (view, at) => {
      StatfsOut.write(view, at, {
        blocks: usage.blocks,
        freeBlocks: usage.freeBlocks,
        availableBlocks: usage.freeBlocks,
        files: usage.files,
        freeFiles: usage.freeFiles,
        blockSize: usage.blockSize,
        nameLength: NAME_MAX,
        fragmentSize: usage.blockSize,
      });
    }),
  );
}
