import { endianness } from 'node:os';
import { HostError } from '../errors.ts';
import { addressOf, check, closeDescriptor, lastError, native, nativeError } from './koffi.ts';

const socket = native('int socket(int domain, int type, int protocol)');
const connect = native('int connect(int fd, const void *address, unsigned int length)');
const socketpair = native('int socketpair(int domain, int type, int protocol, void *fds)');
const getsockopt = native('int getsockopt(int fd, int level, int name, void *value, void *length)');
const sendmsg = native('long sendmsg(int fd, const void *message, int flags)');
const recvmsg = native('long recvmsg(int fd, void *message, int flags)');
const nativeWrite = native('long write(int fd, const void *bytes, size_t length)');

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const NONBLOCK = 0o4000;
const CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_CTRUNC = 8;
/** struct cmsghdr: length 8, level 4, type 4. */
const CMSG_HEADER = 16;
const MAX_DESCRIPTORS = 16;
const INT = 4;

if (endianness() !== 'LE') throw new Error('native structures are written for little-endian');

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Connects to a Unix socket, by path or, where it begins with a NUL, by abstract name.
 *
 * @returns a descriptor that does not block, which the caller owns; undefined where nobody listens
 * @throws HostError
 */
export function connectUnix(path: string): number | undefined {
  const name = Buffer.from(path);
  if (name.length > 107) throw new HostError('HOST_IO', `Cannot connect to ${path}: too long`);
  const fd = check(socket(AF_UNIX, SOCK_STREAM | NONBLOCK | CLOEXEC, 0), 'make a Unix socket');
  const address = Buffer.alloc(2 + name.length + (name[0] === 0 ? 0 : 1));
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  if (connect(fd, address, address.length) >= 0) return fd;
  const error = nativeError(`connect to ${path.replace('\0', '@')}`);
  const code = lastError();
  closeDescriptor(fd);
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return undefined;
  throw error;
}

/** Two connected Unix stream sockets that do not block; the caller owns both. */
export function unixPair(): [number, number] {
  const fds = Buffer.alloc(2 * INT);
  check(socketpair(AF_UNIX, SOCK_STREAM | NONBLOCK | CLOEXEC, 0, fds), 'make a socket pair');
  return [fds.readInt32LE(0), fds.readInt32LE(INT)];
}

/** Who opened the other end, as the kernel knows it (SO_PEERCRED). */
export function peerCredentials(fd: number): PeerCredentials {
  const value = Buffer.alloc(3 * INT);
  const length = Buffer.alloc(INT);
  length.writeInt32LE(value.length);
  check(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length), 'ask who the peer is');
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(INT), gid: value.readUInt32LE(8) };
}

/**
 * Sends bytes with descriptors (SCM_RIGHTS), at most 16; the caller still owns its own.
 *
 * @returns bytes sent; undefined where the socket is full
 * @throws HostError
 */
export function sendDescriptors(
  fd: number,
  bytes: Uint8Array,
  descriptors: readonly number[],
): number | undefined {
  const control = Buffer.alloc(CMSG_HEADER + Math.ceil((descriptors.length * INT) / 8) * 8);
  control.writeBigUInt64LE(BigInt(CMSG_HEADER + descriptors.length * INT), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  descriptors.forEach((each, at) => {
    control.writeInt32LE(each, CMSG_HEADER + at * INT);
  });
  const { header } = messageHeader(bytes, descriptors.length === 0 ? undefined : control);
  const sent: number = sendmsg(fd, header, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && lastError() === 'EAGAIN') return undefined;
  return check(sent, 'send descriptors');
}

export interface Received {
  /** Empty where the other end has closed. */
  readonly bytes: Uint8Array;
  /** The caller owns them. */
  readonly descriptors: readonly number[];
}

/**
 * Takes what is there, with descriptors that came along.
 *
 * @returns undefined where nothing is there yet
 * @throws HostError, also where more descriptors came than 16
 */
export function receiveDescriptors(fd: number, limit: number): Received | undefined {
  const bytes = Buffer.alloc(limit);
  const control = Buffer.alloc(CMSG_HEADER + MAX_DESCRIPTORS * INT);
  const { header } = messageHeader(bytes, control);
  const length: number = recvmsg(fd, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (length < 0 && lastError() === 'EAGAIN') return undefined;
  check(length, 'receive descriptors');
  const descriptors = descriptorsIn(control.subarray(0, Number(header.readBigUInt64LE(40))));
  if ((header.readInt32LE(48) & MSG_CTRUNC) !== 0) {
    descriptors.forEach((each) => {
      closeDescriptor(each);
    });
    throw new HostError('HOST_IO', 'Cannot receive descriptors: there are too many');
  }
  return { bytes: bytes.subarray(0, length), descriptors };
}

function descriptorsIn(control: Buffer): number[] {
  if (control.length < CMSG_HEADER) return [];
  if (control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS) return [];
  const end = Math.min(Number(control.readBigUInt64LE(0)), control.length);
  const descriptors: number[] = [];
  for (let at = CMSG_HEADER; at + INT <= end; at += INT) descriptors.push(control.readInt32LE(at));
  return descriptors;
}

/** struct msghdr with one struct iovec; both point into memory that `keep` holds. */
function messageHeader(bytes: Uint8Array, control?: Buffer) {
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(addressOf(bytes), 0);
  vector.writeBigUInt64LE(BigInt(bytes.length), 8);
  const header = Buffer.alloc(56);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  if (control !== undefined) {
    header.writeBigUInt64LE(addressOf(control), 32);
    header.writeBigUInt64LE(BigInt(control.length), 40);
  }
  return Object.assign({ header }, { keep: [vector, bytes, control] });
}

/** Writes without Node's own checks, which cost more than the call: whether all bytes were taken. */
export function writeSmall(fd: number, bytes: Uint8Array): boolean {
  return nativeWrite(fd, bytes, bytes.length) === bytes.length;
}
