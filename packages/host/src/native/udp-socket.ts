import { check, closeDescriptor, native } from './koffi.ts';

const socket = native('int socket(int domain, int type, int protocol)');
const bind = native('int bind(int fd, const void *address, unsigned int length)');
const setsockopt = native(
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
);

const AF_INET = 2;
const SOCK_DGRAM = 2;
const NONBLOCK = 0o4000;
const CLOEXEC = 0o2000000;
const IPPROTO_IP = 0;
const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_DO = 2;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
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
  const fd = check(socket(AF_INET, SOCK_DGRAM | NONBLOCK | CLOEXEC, 0), 'make a UDP socket');
  try {
    const option = (level: number, name: number, value: number) =>
      setsockopt(fd, level, name, Int32Array.of(value), 4);
    check(option(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO), 'forbid fragments');
    option(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
    const name = new Uint8Array(16);
    const view = new DataView(name.buffer);
    view.setUint16(0, AF_INET, true);
    view.setUint16(2, port);
    name.set(address.split('.').map(Number), 4);
    check(bind(fd, name, name.length), `bind UDP port ${port} of ${address}`);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}
