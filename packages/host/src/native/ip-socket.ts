import { isIPv6 } from 'node:net';
import { check, closeDescriptor, lastError, native, nativeError } from './koffi.ts';

const socket = native('int socket(int domain, int type, int protocol)');
const bind = native('int bind(int fd, const void *address, unsigned int length)');
const setsockopt = native(
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
);
const getsockopt = native('int getsockopt(int fd, int level, int name, void *value, void *length)');

const AF_INET = 2;
const AF_INET6 = 10;
const AF_SMC = 43;
/** SMCPROTO_SMC and SMCPROTO_SMC6, linux/smc.h. */
const SmcProtocol = { ipv4: 0, ipv6: 1 } as const;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const NONBLOCK = 0o4000;
const CLOEXEC = 0o2000000;
const IPPROTO_IP = 0;
const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_DO = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_RCVBUF = 8;
const SO_DOMAIN = 39;
const SO_COOKIE = 57;
/** Bytes of packets that wait; the kernel takes less where its limit is lower. */
const RECEIVE_BUFFER = 4 << 20;

/**
 * A UDP socket whose packets are never fragmented and, as long as it is not connected, have 0 as the
 * identification in their IP header.
 *
 * @param address IPv4, dotted
 * @returns a bound descriptor that does not block, which the caller owns
 * @throws HostError where the address is not of this host, or the port is taken
 */
export function unfragmentedUdp(address: string, port: number): number {
  return opened(AF_INET, SOCK_DGRAM, (fd) => {
    check(setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO), 'forbid fragments');
    setOption(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
    bindTo(fd, address, port);
  });
}

/**
 * A TCP socket that is not connected, and does not listen yet.
 *
 * @param port binds it, on an IPv4 address; else it is of the family of `address`, and not bound
 * @returns a descriptor that does not block, which the caller owns
 * @throws HostError
 */
export function tcpSocket(address: string, port?: number): number {
  return opened(isIPv6(address) ? AF_INET6 : AF_INET, SOCK_STREAM, (fd) => {
    if (port === undefined) return;
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    bindTo(fd, address, port);
  });
}

/**
 * A socket of the kernel's own SMC over TCP of one version of IP, that is not connected, and does not listen yet.
 * It takes the addresses of a TCP socket.
 *
 * @returns a descriptor that does not block, which the caller owns; undefined where the kernel has no such sockets
 * @throws HostError
 */
export function smcSocket(version: 'ipv4' | 'ipv6'): number | undefined {
  const fd = socket(AF_SMC, SOCK_STREAM | NONBLOCK | CLOEXEC, SmcProtocol[version]);
  if (fd >= 0) return fd;
  const error = nativeError('make a socket of SMC');
  if (['EAFNOSUPPORT', 'EPROTONOSUPPORT'].includes(lastError())) return undefined;
  throw error;
}

/**
 * Whether a descriptor is a socket of the kernel's SMC. One that fell back when it connected is not any more: the
 * kernel then puts the TCP socket in its place.
 */
export function isSmcSocket(fd: number): boolean {
  const domain = new Int32Array(1);
  check(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, domain, Int32Array.of(4)), 'ask for a domain');
  return domain[0] === AF_SMC;
}

/** The number that the kernel knows a socket by, for as long as it runs: 8 bytes in its order. */
export function socketCookie(fd: number): Uint8Array {
  const cookie = new Uint8Array(8);
  check(getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, Int32Array.of(8)), 'identify a socket');
  return cookie;
}

function opened(family: number, type: number, prepare: (fd: number) => void): number {
  const fd = check(socket(family, type | NONBLOCK | CLOEXEC, 0), 'make a socket');
  try {
    prepare(fd);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

function setOption(fd: number, level: number, name: number, value: number): number {
  return setsockopt(fd, level, name, Int32Array.of(value), 4);
}

/** @param address IPv4, dotted */
function bindTo(fd: number, address: string, port: number): void {
  const name = new Uint8Array(16);
  const view = new DataView(name.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  name.set(address.split('.').map(Number), 4);
  check(bind(fd, name, name.length), `bind port ${port} of ${address}`);
}
