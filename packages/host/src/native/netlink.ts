import { getSystemErrorMap } from 'node:util';
import { HostError } from '../errors.ts';
import { check, closeDescriptor, native } from './koffi.ts';

const socket = native('int socket(int domain, int type, int protocol)');
const send = native('long send(int fd, const void *bytes, size_t length, int flags)');
const recv = native('long recv(int fd, void *bytes, size_t length, int flags)');

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
/** struct nlmsghdr: length 4, type 2, flags 2, sequence 4, port 4. */
const HEADER = 16;
const Type = { error: 2, done: 3 } as const;
const Flag = { request: 1, acknowledge: 4, dump: 0x300 } as const;
/** The kernel's answers to dumps come in pieces of 32 KiB at most. */
const RECEIVE_BYTES = 65536;

export interface NetlinkRequest {
  /** NETLINK_*: the part of the kernel that is asked. */
  readonly protocol: number;
  readonly type: number;
  readonly body: Uint8Array;
  /** Asks for all that there is of something; else it is one request, which the kernel acknowledges. */
  readonly dump?: boolean;
}

/**
 * Asks the kernel over netlink. It answers within the calls, so nothing is waited for.
 *
 * @returns what follows the header in each message of the answer
 * @throws HostError `HOST_IO` with the error's name in `details.system` where the kernel refuses; as other native calls
 */
export function askNetlink({ protocol, type, body, dump }: NetlinkRequest): Uint8Array[] {
  const fd = check(socket(AF_NETLINK, SOCK_RAW | CLOEXEC, protocol), 'make a netlink socket');
  try {
    const message = Buffer.alloc(HEADER + body.length);
    message.writeUInt32LE(message.length, 0);
    message.writeUInt16LE(type, 4);
    message.writeUInt16LE(Flag.request | (dump ? Flag.dump : Flag.acknowledge), 6);
    message.set(body, HEADER);
    check(send(fd, message, message.length, 0), 'ask over netlink');
    return receiveAnswer(fd);
  } finally {
    closeDescriptor(fd);
  }
}

function receiveAnswer(fd: number): Uint8Array[] {
  const answer: Uint8Array[] = [];
  const buffer = Buffer.alloc(RECEIVE_BYTES);
  for (;;) {
    const count = check(Number(recv(fd, buffer, buffer.length, MSG_DONTWAIT)), 'be answered');
    for (let at = 0; at + HEADER <= count; ) {
      const length = buffer.readUInt32LE(at);
      const type = buffer.readUInt16LE(at + 4);
      if (length < HEADER || at + length > count) throw refused('EBADMSG');
      if (type === Type.done || type === Type.error) {
        const error = length < HEADER + 4 ? 0 : buffer.readInt32LE(at + HEADER);
        if (error >= 0) return answer;
        throw refused(getSystemErrorMap().get(error)?.[0] ?? `errno ${-error}`);
      }
      answer.push(Uint8Array.from(buffer.subarray(at + HEADER, at + length)));
      at += Math.ceil(length / 4) * 4;
    }
  }
}

function refused(system: string): HostError {
  return new HostError('HOST_IO', `Cannot ask over netlink: ${system}`, { details: { system } });
}
