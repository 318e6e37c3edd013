import type { Awaitable } from '@anole/bytes';
import { Errno, refused } from './errors.ts';
import { Opcode } from './layout/opcodes.ts';
import * as attributes from './operations/attributes.ts';
import * as data from './operations/data.ts';
import * as directories from './operations/directories.ts';
import * as lifecycle from './operations/lifecycle.ts';
import * as mappings from './operations/mappings.ts';
import * as names from './operations/names.ts';
import * as xattrs from './operations/xattrs.ts';
import type { Reply } from './replies.ts';
import type { Request } from './request.ts';
import type { Session } from './session.ts';

export type Operation = (session: Session, request: Request) => Awaitable<Reply>;

/** Done, and nothing to do: there is nothing that a handle stands for. */
const nothing: Operation = (session, request) => session.replies.ok(request, 0);

/** Where the kernel does well without, and asks no more. */
const absent: Operation = () => {
  throw refused(Errno.ENOSYS, 'a request that is not implemented');
};

const noIoctl: Operation = () => {
  throw refused(Errno.ENOTTY, 'IOCTL');
};

/**
 * What answers each request. Locks are the kernel's own business, since POSIX_LOCKS and FLOCK_LOCKS
 * are not agreed on; so are permissions, since virtio-fs mounts check them (docs/decisions/0045).
 */
const operations: Readonly<Record<keyof typeof Opcode, Operation>> = {
  LOOKUP: names.lookup,
  FORGET: lifecycle.forget,
  GETATTR: attributes.getattr,
  SETATTR: attributes.setattr,
  READLINK: attributes.readlink,
  SYMLINK: names.symlink,
  MKNOD: names.mknod,
  MKDIR: names.mkdir,
  UNLINK: names.unlink,
  RMDIR: names.rmdir,
  RENAME: names.rename,
  LINK: names.link,
  OPEN: data.open,
  READ: data.read,
  WRITE: data.write,
  STATFS: attributes.statfs,
  RELEASE: data.release,
  FSYNC: data.fsync,
  SETXATTR: xattrs.setxattr,
  GETXATTR: xattrs.getxattr,
  LISTXATTR: xattrs.listxattr,
  REMOVEXATTR: xattrs.removexattr,
  FLUSH: absent,
  INIT: lifecycle.init,
  OPENDIR: directories.opendir,
  READDIR: directories.readdir,
  RELEASEDIR: nothing,
  FSYNCDIR: data.fsync,
  GETLK: absent,
  SETLK: absent,
  SETLKW: absent,
  ACCESS: absent,
  CREATE: names.create,
  INTERRUPT: lifecycle.interrupt,
  BMAP: absent,
  DESTROY: lifecycle.destroy,
  IOCTL: noIoctl,
  POLL: absent,
  NOTIFY_REPLY: lifecycle.interrupt,
  BATCH_FORGET: lifecycle.batchForget,
  FALLOCATE: data.fallocate,
  READDIRPLUS: directories.readdirplus,
  RENAME2: names.rename2,
  LSEEK: data.lseek,
  COPY_FILE_RANGE: data.copyFileRange,
  SETUPMAPPING: mappings.setupMapping,
  REMOVEMAPPING: mappings.removeMapping,
  SYNCFS: nothing,
  TMPFILE: names.tmpfile,
  STATX: absent,
};

const byOpcode = new Map<number, Operation>(
  Object.entries(Opcode).map(([name, opcode]) => [opcode, operations[name as keyof typeof Opcode]]),
);

/** Requests that the kernel wants no answer to, whatever becomes of them. */
const silent: ReadonlySet<number> = new Set([
  Opcode.FORGET,
  Opcode.BATCH_FORGET,
  Opcode.INTERRUPT,
  Opcode.NOTIFY_REPLY,
]);

export function operationFor(opcode: number): Operation {
  return byOpcode.get(opcode) ?? absent;
}

export function isSilent(opcode: number): boolean {
  return silent.has(opcode);
}
