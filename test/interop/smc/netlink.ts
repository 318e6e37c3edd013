import { Family, type GuestSockets } from './guest-sockets.ts';

/** linux/netlink.h, linux/genetlink.h, rdma/rdma_netlink.h, linux/smc.h. */
const SOCK_RAW = 3;
const Protocol = { generic: 16, rdma: 20 } as const;
const REQUEST_AND_ACKNOWLEDGE = 1 | 4;
const ERROR = 2;
const CONTROL_FAMILY = 0x10;
const GET_FAMILY = 3;
const Control = { familyId: 1, familyName: 2 } as const;
const ADD_UEID = 10;
const EID_ENTRY = 1;
const NEW_RDMA_LINK = (5 << 10) + 3;
const Rdma = { deviceName: 2, netDeviceName: 51, linkType: 65 } as const;
const HEADER = 16;

function attribute(type: number, text: string): Buffer {
  const length = 4 + text.length + 1;
  const bytes = Buffer.alloc(Math.ceil(length / 4) * 4);
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.write(text, 4, 'latin1');
  return bytes;
}

/** Sends a request, and gives the first answer's payload; an error raises. */
export type Ask = (protocol: number, type: number, body: Buffer) => Promise<Buffer>;

/** Asks the kernel of a guest. */
export const askIn =
  (sockets: GuestSockets): Ask =>
  async (protocol, type, body) => {
    const fd = await sockets.socket(Family.netlink, SOCK_RAW, protocol);
    const header = Buffer.alloc(HEADER);
    header.writeUInt32LE(HEADER + body.length, 0);
    header.writeUInt16LE(type, 4);
    header.writeUInt16LE(REQUEST_AND_ACKNOWLEDGE, 6);
    await sockets.send(fd, Buffer.concat([header, body]));
    const answer = await sockets.receive(fd);
    await sockets.close(fd);
    const error = answer.readUInt16LE(4) === ERROR ? answer.readInt32LE(HEADER) : 0;
    if (error !== 0) throw new Error(`netlink request ${type} in the guest: error ${error}`);
    return answer.subarray(HEADER);
  };

const generic = (command: number, ...attributes: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([command, 1, 0, 0]), ...attributes]);

async function familyId(ask: Ask, name: string): Promise<number> {
  const body = generic(GET_FAMILY, attribute(Control.familyName, name));
  const answer = await ask(Protocol.generic, CONTROL_FAMILY, body);
  for (let at = 4; at + 4 <= answer.length; ) {
    if (answer.readUInt16LE(at + 2) === Control.familyId) return answer.readUInt16LE(at + 4);
    at += Math.ceil(answer.readUInt16LE(at) / 4) * 4;
  }
  throw new Error(`The guest has no netlink family ${name}`);
}

/** As `smcd ueid add` does. */
export async function addEid(ask: Ask, eid: string): Promise<void> {
  const family = await familyId(ask, 'SMC_GEN_NETLINK');
  const padded = eid.padEnd(32);
  await ask(Protocol.generic, family, generic(ADD_UEID, attribute(EID_ENTRY, padded)));
}

/** As `rdma link add NAME type rxe netdev DEVICE` does. */
export async function addSoftRoce(ask: Ask, name: string, device: string): Promise<void> {
  const body = [
    attribute(Rdma.deviceName, name),
    attribute(Rdma.linkType, 'rxe'),
    attribute(Rdma.netDeviceName, device),
  ];
  await ask(Protocol.rdma, NEW_RDMA_LINK, Buffer.concat(body));
}
