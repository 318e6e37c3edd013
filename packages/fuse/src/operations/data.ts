import { type Awaitable, chain, type Flow, flow, isPromise, wait } from '@anole/bytes';
import { type Extent, type TreeNode, VfsError, type WritableNode } from '@anole/vfs';
import { Errno, refused } from '../errors.ts';
import {
  FallocateFlag,
  InitFlag,
  OpenFlag,
  Seek,
  UNIQUE_RESEND_HIGH,
  WRITE_KILL_SUIDGID,
} from '../layout/flags.ts';
import { LseekOut, OpenOut, WriteOut } from '../layout/replies.ts';
import {
  CopyFileRangeIn,
  FallocateIn,
  InHeader,
  LseekIn,
  OpenIn,
  ReadIn,
  ReleaseIn,
  WriteIn,
} from '../layout/requests.ts';
import type { Reply } from '../replies.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';
import { killPrivilege } from './attributes.ts';
import { dropCapability } from './xattrs.ts';

const O_ACCMODE = 3;
/** Bytes that one COPY_FILE_RANGE moves at most; the caller asks on for the rest. */
const MAX_COPY = 16 * 1024 * 1024;
const COPY_STEP = 1024 * 1024;

/**
 * Opening changes nothing here: a node lives as long as the kernel knows it, open or not. So where
 * the kernel can, it is told not to ask again (ENOSYS, linux/fuse.h FUSE_NO_OPEN_SUPPORT). Where it reads
 * files by itself, the handle is the number of the file that it reads.
 */
export function open(session: Session, request: Request): Awaitable<Reply> {
  const known = session.known(request);
  if (((session.agreed ?? 0) & InitFlag.NO_OPEN_SUPPORT) !== 0) throw refused(Errno.ENOSYS, 'OPEN');
  if ((request.args(OpenIn).flags & O_ACCMODE) !== 0) session.changeable(known);
  const passing = session.passing;
  if (passing === undefined) return opened(session, request, 0);
  return chain(passing.open(known.node), (id) => {
    if (id === undefined) throw refused(Errno.ENOSYS, 'OPEN');
    return opened(session, request, id);
  });
}

/** @param backingId 0 where the file is read here */
function opened(session: Session, request: Request, backingId: number): Reply {
  const own = session.exclusive ? OpenFlag.KEEP_CACHE : 0;
  const openFlags = backingId === 0 ? own : OpenFlag.PASSTHROUGH;
  return session.replies.ok(request, OpenOut.size, (view, at) => {
    OpenOut.write(view, at, { handle: backingId, openFlags, backingId });
  });
}

export function release(session: Session, request: Request): Reply {
  const { passing } = session;
  if (passing !== undefined) {
    const { node } = session.known(request);
    const isRepeated = request.uniqueHigh >= UNIQUE_RESEND_HIGH;
    passing.close(node, request.args(ReleaseIn).handle, isRepeated);
  }
  return session.replies.ok(request, 0);
}

export function read(session: Session, request: Request): Awaitable<Reply> {
  const { offset, size } = request.args(ReadIn);
  const length = Math.min(size, session.maxTransfer);
  const { node } = session.known(request);
  if (node.readInto === undefined) {
    return chain(node.read(offset, length), (bytes) => session.replies.data(request, bytes));
  }
  const memory = session.lend(length);
  const count = node.readInto(offset, memory.subarray(0, length));
  // A reply that is there at once is sent before the next request; others keep their memory.
  if (!isPromise(count)) session.giveBack(memory);
  return chain(count, (there) => session.replies.data(request, memory.subarray(0, there)));
}

export function write(session: Session, request: Request): Awaitable<Reply> {
  const known = session.known(request);
  const node = session.changeable(known);
  const { offset, size, writeFlags } = request.args(WriteIn);
  const data = request.data(InHeader.size + WriteIn.size, size);
  if (known.powerless && (writeFlags & WRITE_KILL_SUIDGID) === 0 && data.length === 1) {
    return chain(node.write(offset, data[0]!), () => {
      session.note('write', known);
      return written(session, request, size);
    });
  }
  return flow(function* () {
    yield* dropCapability(known, node);
    if ((writeFlags & WRITE_KILL_SUIDGID) !== 0) yield* killPrivilege(node);
    let at = offset;
    for (const piece of data) {
      yield* wait(node.write(at, piece));
      at += piece.length;
    }
    session.note('write', known);
    return written(session, request, size);
  });
}

function written(session: Session, request: Request, size: number): Reply {
  return session.replies.ok(request, WriteOut.size, (view, at) => view.setUint32(at, size, true));
}

export function fallocate(session: Session, request: Request): Awaitable<Reply> {
  const known = session.known(request);
  const node = session.changeable(known);
  const { offset, length, mode } = request.args(FallocateIn);
  const served = FallocateFlag.KEEP_SIZE | FallocateFlag.PUNCH_HOLE | FallocateFlag.ZERO_RANGE;
  if ((mode & ~served) !== 0) throw refused(Errno.EOPNOTSUPP, `fallocate with mode ${mode}`);
  return flow(function* () {
    yield* dropCapability(known, node);
    if ((mode & (FallocateFlag.PUNCH_HOLE | FallocateFlag.ZERO_RANGE)) !== 0) {
      yield* wait(node.punchHole(offset, length));
    }
    // Space is not set aside: memory that nothing was written to is not taken.
    const end = offset + length;
    if ((mode & FallocateFlag.KEEP_SIZE) === 0 && end > node.stat.size) {
      yield* wait(node.change({ size: end }));
    }
    session.note('write', known);
    return session.replies.ok(request, 0);
  });
}

export function lseek(session: Session, request: Request): Awaitable<Reply> {
  const { node } = session.known(request);
  // The kernel asks without having written what it gathered: a program that copies by holes would
  // lose data. Without LSEEK a file is all data (docs/decisions/0047).
  if (((session.agreed ?? 0) & InitFlag.WRITEBACK_CACHE) !== 0)
    throw refused(Errno.ENOSYS, 'LSEEK');
  const { offset, whence } = request.args(LseekIn);
  if (whence !== Seek.DATA && whence !== Seek.HOLE) throw refused(Errno.EINVAL, 'this lseek');
  const { size } = node.stat;
  if (offset >= size) throw refused(Errno.ENXIO, 'lseek behind the end');
  const whole: readonly Extent[] = [{ offset: 0, length: size }];
  return chain(node.extents?.() ?? whole, (extents) => {
    const found = whence === Seek.DATA ? dataAt(extents, offset) : holeAt(extents, offset);
    if (found === undefined || (whence === Seek.DATA && found >= size)) {
      throw refused(Errno.ENXIO, 'lseek to data that is not there');
    }
    return session.replies.ok(request, LseekOut.size, (view, at) => {
      LseekOut.at(view, at).offset = Math.min(found, size);
    });
  });
}

function dataAt(extents: readonly Extent[], offset: number): number | undefined {
  const next = extents.find((extent) => extent.offset + extent.length > offset);
  return next === undefined ? undefined : Math.max(next.offset, offset);
}

function holeAt(extents: readonly Extent[], offset: number): number {
  let at = offset;
  for (const extent of extents) {
    if (extent.offset <= at && at < extent.offset + extent.length)
      at = extent.offset + extent.length;
  }
  return at;
}

export function copyFileRange(session: Session, request: Request): Awaitable<Reply> {
  const asked = request.args(CopyFileRangeIn);
  const from = session.known(request).node;
  const known = session.nodes.get(asked.nodeidOut);
  const to = session.changeable(known);
  if (to.stat.type !== 'file')
    throw new VfsError('VFS_NOT_FILE', 'Cannot copy into what is no file');
  const { offsetIn, offsetOut } = asked;
  const length = Math.min(asked.length, MAX_COPY);
  return flow(function* () {
    yield* dropCapability(known, to);
    const copied = yield* copy(from, offsetIn, to, offsetOut, length);
    session.note('write', known);
    return written(session, request, copied);
  });
}

function* copy(
  from: TreeNode,
  offsetIn: number,
  to: WritableNode,
  offsetOut: number,
  length: number,
): Flow<number> {
  let copied = 0;
  while (copied < length) {
    const step = Math.min(COPY_STEP, length - copied);
    const bytes = yield* wait(from.read(offsetIn + copied, step));
    if (bytes.length === 0) break;
    // What was read may be the very memory that is written.
    yield* wait(to.write(offsetOut + copied, bytes.slice()));
    copied += bytes.length;
  }
  return copied;
}

export function fsync(session: Session, request: Request): Awaitable<Reply> {
  const { node } = session.known(request);
  // ENOSYS once, and the kernel takes every fsync for done: memory is as durable as it gets.
  if (!hasSync(session.tree.root)) throw refused(Errno.ENOSYS, 'FSYNC');
  const done = hasSync(node) ? node.sync?.() : undefined;
  return chain(done, () => session.replies.ok(request, 0));
}

function hasSync(node: TreeNode | WritableNode): node is WritableNode {
  return 'sync' in node && node.sync !== undefined;
}
