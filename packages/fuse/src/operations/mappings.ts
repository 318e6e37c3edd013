import { type Awaitable, chain, type Flow, flow, wait } from '@anole/bytes';
import type { TreeNode } from '@anole/vfs';
import { badRequest, Errno, refused } from '../errors.ts';
import { SETUPMAPPING_WRITE } from '../layout/flags.ts';
import { SetupmappingIn } from '../layout/requests.ts';
import type { Reply } from '../replies.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';
import { isMapped, type Window } from '../window.ts';

const PAGE = 4096;
/** Bytes that one request maps: what Linux asks for (fs/fuse/dax.c, FUSE_DAX_SZ). */
const MAX_LENGTH = 0x20_0000;
/** Bytes that are read at once: they are copied, and so many stay in a processor's cache until then. */
const STEP = 0x4_0000;

/**
 * Fills a range of the window with what a file holds there. Only files of trees that nobody changes are
 * mapped, so nothing is kept of it: the window is memory of the kernel's, and goes with it into snapshots
 * and forks.
 */
export function setupMapping(session: Session, request: Request): Awaitable<Reply> {
  const { node } = session.known(request);
  const { window } = session;
  if (window === undefined || !session.terms.maps || !isMapped(node.stat)) {
    throw refused(Errno.EOPNOTSUPP, 'SETUPMAPPING');
  }
  const { offset, length, flags, windowOffset } = request.args(SetupmappingIn);
  if ((flags & SETUPMAPPING_WRITE) !== 0) throw refused(Errno.EROFS, 'SETUPMAPPING to write');
  const isWithin = length > 0 && length <= MAX_LENGTH && windowOffset + length <= window.size;
  if (!isWithin || ((offset | windowOffset) & (PAGE - 1)) !== 0) {
    throw badRequest(`${length} bytes at ${offset} cannot be mapped to ${windowOffset}`);
  }
  return flow(function* () {
    yield* fill(session, window, windowOffset, node, offset, length);
    return session.replies.ok(request, 0);
  });
}

function* fill(
  session: Session,
  window: Window,
  windowOffset: number,
  node: TreeNode,
  offset: number,
  length: number,
): Flow<void> {
  const end = Math.min(offset + length, node.stat.size);
  for (let at = offset; at < end; at += STEP) {
    // Up to the end of its last page a file is zeros.
    const target = windowOffset + at - offset;
    const room = Math.min(
      STEP,
      Math.ceil((end - at) / PAGE) * PAGE,
      windowOffset + length - target,
    );
    const memory = session.lend(STEP);
    const count = yield* wait(readInto(node, at, memory.subarray(0, Math.min(STEP, end - at))));
    const page = window.at(target, room);
    page.set(memory.subarray(0, count));
    page.fill(0, count);
    session.giveBack(memory);
  }
}

function readInto(node: TreeNode, offset: number, target: Uint8Array): Awaitable<number> {
  if (node.readInto !== undefined) return node.readInto(offset, target);
  return chain(node.read(offset, target.length), (bytes) => {
    target.set(bytes);
    return bytes.length;
  });
}

/** What a range holds stays until it is mapped anew: nobody else can have changed it. */
export function removeMapping(session: Session, request: Request): Reply {
  session.known(request);
  if (session.window === undefined) throw refused(Errno.EOPNOTSUPP, 'REMOVEMAPPING');
  return session.replies.ok(request, 0);
}
