import { Errno, FuseError } from '../errors.ts';
import { InitFlag, InitFlag2 } from '../layout/flags.ts';
import { InitOut } from '../layout/replies.ts';
import {
  BatchForgetIn,
  ForgetIn,
  ForgetOne,
  InHeader,
  InitExtIn,
  InitIn,
} from '../layout/requests.ts';
import { noReply, type Reply } from '../replies.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';

const MAJOR = 7;
/** Linux 5.4 and 6.12: below, structures are shorter; above, nothing is new that we use. */
const MIN_MINOR = 31;
const MAX_MINOR = 41;
const PAGE = 4096;
/** Mappings begin at a page: the logarithm of its size. */
const MAP_ALIGNMENT = 12;
const { HAS_INODE_DAX, PASSTHROUGH } = InitFlag2;

/** Flags that are of use to every tree, where the kernel has them too. */
const wanted =
  InitFlag.ASYNC_READ |
  InitFlag.BIG_WRITES |
  InitFlag.DO_READDIRPLUS |
  InitFlag.ASYNC_DIO |
  InitFlag.PARALLEL_DIROPS |
  InitFlag.HANDLE_KILLPRIV_V2 |
  InitFlag.MAX_PAGES;

export function init(session: Session, request: Request): Reply {
  const offer = request.args(InitIn);
  if (offer.major !== MAJOR || offer.minor < MIN_MINOR) {
    // A newer kernel asks again in the version that it is told; an older one is not served.
    if (offer.major > MAJOR) return reply(session, request, 0, 0, 0);
    const version = `${offer.major}.${offer.minor}`;
    throw new FuseError('FUSE_REFUSED', `Cannot speak FUSE ${version}`, Errno.EPROTO);
  }
  session.reset();
  const flags2 = offeredBeyond(request) & flags2For(session, offer.flags);
  const flags = (offer.flags & flagsFor(session, flags2)) >>> 0;
  session.agreed = flags2 * 2 ** 32 + flags;
  return reply(session, request, offer.maxReadahead, flags, flags2);
}

/** Flags from bit 32 on that the kernel has. */
function offeredBeyond(request: Request): number {
  if ((request.args(InitIn).flags & InitFlag.INIT_EXT) === 0) return 0;
  return InitExtIn.at(request.view, InHeader.size + InitIn.size).flags2;
}

function flags2For(session: Session, offered: number): number {
  const passing = session.backings === undefined ? 0 : PASSTHROUGH;
  // A kernel names the alignment where its device has a window.
  const maps = session.offersWindow && (offered & InitFlag.MAP_ALIGNMENT) !== 0;
  return passing | (maps ? HAS_INODE_DAX : 0);
}

function flagsFor(session: Session, flags2: number): number {
  const flags = flags2 === 0 ? 0 : InitFlag.INIT_EXT;
  const maps = (flags2 & HAS_INODE_DAX) === 0 ? 0 : InitFlag.MAP_ALIGNMENT;
  return flags | maps | treeFlags(session, (flags2 & PASSTHROUGH) !== 0);
}

function treeFlags(session: Session, passes: boolean): number {
  if (!session.exclusive) return wanted | InitFlag.AUTO_INVAL_DATA | InitFlag.READDIRPLUS_AUTO;
  // Attributes are cheap here, and stay true: whoever lists a directory gets those of all entries, and no
  // LOOKUP follows.
  const cached = wanted | InitFlag.CACHE_SYMLINKS | InitFlag.NO_OPENDIR_SUPPORT;
  // Who passes files must be asked at each open.
  if (passes) return cached;
  // Without OPEN nothing here would refuse to open a file for writing in a tree that is only read.
  const flags = session.opensFreely ? cached | InitFlag.NO_OPEN_SUPPORT : cached;
  return session.writebackCache ? flags | InitFlag.WRITEBACK_CACHE : flags;
}

function reply(
  session: Session,
  request: Request,
  maxReadahead: number,
  flags: number,
  flags2: number,
): Reply {
  return session.replies.ok(request, InitOut.size, (view, at) => {
    InitOut.write(view, at, {
      major: MAJOR,
      minor: MAX_MINOR,
      maxReadahead: Math.min(maxReadahead, session.maxReadahead),
      flags,
      maxBackground: 64,
      congestionThreshold: 48,
      // What the kernel writes tells how large its requests are.
      maxWrite: session.writable ? session.maxTransfer : PAGE,
      timeGranularity: 1,
      maxPages: Math.ceil(session.maxTransfer / PAGE),
      mapAlignment: (flags2 & HAS_INODE_DAX) === 0 ? 0 : MAP_ALIGNMENT,
      flags2,
      // Files that are passed lie on no stack, and one overlay can stand on this file system.
      maxStackDepth: (flags2 & PASSTHROUGH) === 0 ? 0 : 1,
    });
  });
}

/** The file system is unmounted; another INIT may follow. */
export function destroy(session: Session, request: Request): Reply {
  const reply = session.replies.ok(request, 0);
  session.reset();
  return reply;
}

export function forget(session: Session, request: Request): Reply {
  session.forget(request.nodeid, request.args(ForgetIn).lookups);
  return noReply;
}

export function batchForget(session: Session, request: Request): Reply {
  const { count } = request.args(BatchForgetIn);
  const first = InHeader.size + BatchForgetIn.size;
  const there = Math.floor((request.bytes.length - first) / ForgetOne.size);
  for (let index = 0; index < Math.min(count, there); index++) {
    const one = ForgetOne.at(request.view, first + index * ForgetOne.size);
    session.forget(one.nodeid, one.lookups);
  }
  return noReply;
}

/** Requests are short, or wait for a tree that cannot be stopped: they end by themselves. */
export function interrupt(): Reply {
  return noReply;
}
