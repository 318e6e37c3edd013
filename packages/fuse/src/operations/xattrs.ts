import { type Awaitable, chain, encodeName, type Flow, wait } from '@anole/bytes';
import type { WritableNode } from '@anole/vfs';
import { Errno, refused } from '../errors.ts';
import { XattrFlag } from '../layout/flags.ts';
import { GetxattrOut } from '../layout/replies.ts';
import { GetxattrIn, InHeader, SetxattrIn } from '../layout/requests.ts';
import type { KnownNode } from '../nodes.ts';
import type { Reply } from '../replies.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';

const CAPABILITY = 'security.capability';
/** XATTR_SIZE_MAX of linux/limits.h. */
const MAX_VALUE = 65536;

export function getxattr(session: Session, request: Request): Awaitable<Reply> {
  const known = session.known(request);
  const name = attributeName(request, InHeader.size + GetxattrIn.size);
  // Answered without an error, which would cost more than all the rest: each exec(2) asks for it.
  if (name === CAPABILITY && known.powerless) return session.replies.error(request, Errno.ENODATA);
  return chain(known.node.xattrs(), (all) => {
    const value = all.get(name);
    if (value !== undefined) return sized(session, request, value);
    if (name === CAPABILITY && session.exclusive) known.powerless = true;
    return session.replies.error(request, Errno.ENODATA);
  });
}

export function listxattr(session: Session, request: Request): Awaitable<Reply> {
  return chain(session.known(request).node.xattrs(), (all) => {
    const names = [...all.keys()].map((name) => `${name}\0`).join('');
    return sized(session, request, encodeName(names));
  });
}

/** Asked with size 0, how long the value is; else the value, where it fits. */
function sized(session: Session, request: Request, value: Uint8Array): Reply {
  const { size } = request.args(GetxattrIn);
  if (size === 0) {
    return session.replies.ok(request, GetxattrOut.size, (view, at) => {
      view.setUint32(at, value.length, true);
    });
  }
  if (value.length > size) throw refused(Errno.ERANGE, `an attribute in ${size} bytes`);
  return session.replies.data(request, value);
}

export function setxattr(session: Session, request: Request): Awaitable<Reply> {
  const known = session.known(request);
  const node = session.changeable(known);
  const { size, flags } = request.args(SetxattrIn);
  const nameAt = InHeader.size + SetxattrIn.size;
  const name = attributeName(request, nameAt);
  if (size > MAX_VALUE) throw refused(Errno.ERANGE, `an attribute of ${size} bytes`);
  const value = joined(request.data(request.text(nameAt).end, size), size);
  if (name === CAPABILITY) known.powerless = false;
  const create = (flags & XattrFlag.CREATE) !== 0 ? 'create' : undefined;
  const mode = (flags & XattrFlag.REPLACE) !== 0 ? 'replace' : create;
  return chain(node.setXattr(name, value, mode), () => session.replies.ok(request, 0));
}

export function removexattr(session: Session, request: Request): Awaitable<Reply> {
  const node = session.changeable(session.known(request));
  const name = attributeName(request, InHeader.size);
  return chain(node.removeXattr(name), () => session.replies.ok(request, 0));
}

/**
 * Takes the file's capabilities, as every write and every change of owner or size does. The answer
 * "none" is kept: it is asked for with each write.
 */
export function* dropCapability(known: KnownNode, node: WritableNode): Flow<void> {
  if (known.powerless) return;
  const all = yield* wait(node.xattrs());
  if (all.has(CAPABILITY)) yield* wait(node.removeXattr(CAPABILITY));
  known.powerless = true;
}

/**
 * `system.` holds ACLs, which are not kept: an ACL that is stored and not obeyed would lie. The
 * kernel asks for them with each `ls -l`.
 */
function attributeName(request: Request, at: number): string {
  const { value } = request.text(at);
  if (value.startsWith('system.')) throw refused(Errno.EOPNOTSUPP, `attributes like ${value}`);
  return value;
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
