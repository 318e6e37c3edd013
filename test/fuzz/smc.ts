import { AnoleError } from '@anole/bytes';
import { writeCdc, writeLlc } from '@anole/smc';
import { Opcode } from '../../packages/smc/src/layout/roce.ts';
import { makeIdentity } from '../../packages/smc/src/r/identity.ts';
import { Link } from '../../packages/smc/src/r/link.ts';
import { parseRoce, type RocePacket, writeRoce } from '../../packages/smc/src/roce/packet.ts';
import type { Target } from './targets.ts';

const FIRST = 0xfffffa;
const MTU = 256;
const RING = 16384;
const PEER_RING = 4096;

/**
 * Packets of a peer, each behind a byte of its length. A packet that names sequence 0, token 1, or key 1
 * means what is expected of it: what is right is known only when the fuzzer's link is there.
 */
function conversation(packets: readonly (Partial<RocePacket> & { readonly opcode: number })[]) {
  const base = { queuePair: 2, sequence: 0, wantsAcknowledge: true, payload: new Uint8Array() };
  const parts = packets.map((packet) => writeRoce({ ...base, ...packet }));
  return new Uint8Array(
    Buffer.concat(
      parts.flatMap((part) => [Uint8Array.of(part.length & 0xff, part.length >> 8), part]),
    ),
  );
}

const send = (payload: Uint8Array) => ({ opcode: Opcode.sendOnly, payload });
const write = (offset: number, length: number) => ({
  opcode: Opcode.writeOnly,
  write: { address: BigInt(offset), rkey: 1, length },
  payload: new Uint8Array(length).fill(0x61),
});

const cdc = (
  sequence: number,
  produced: number,
  consumed: number,
  producerFlags: Parameters<typeof writeCdc>[0]['producerFlags'] = [],
  connectionFlags: Parameters<typeof writeCdc>[0]['connectionFlags'] = [],
) =>
  writeCdc({
    kind: 'cdc',
    sequence,
    token: 1,
    producer: { wrap: 0, count: produced },
    consumer: { wrap: 0, count: consumed },
    producerFlags,
    connectionFlags,
  });

const llc = (message: object, isResponse = false) =>
  writeLlc({ version: 2, isResponse, flags: 0, ...message } as Parameters<typeof writeLlc>[0]);

const none = { link: 0, rkey: 0, address: 0n };
const gid = new Uint8Array(16);
const mac = new Uint8Array(6);
const confirm = {
  mac,
  gid,
  queuePair: 9,
  linkNumber: 1,
  linkUid: 7,
  maxLinks: 1,
  maxConnections: 9,
};

const seeds = {
  data: conversation([
    send(llc({ kind: 'confirm-link', ...confirm })),
    write(0, 200),
    send(cdc(1, 200, 0)),
    { opcode: Opcode.acknowledge, acknowledge: { syndrome: 0x1f, count: 1 } },
    {
      opcode: Opcode.writeFirst,
      write: { address: 200n, rkey: 1, length: 500 },
      payload: new Uint8Array(MTU),
    },
    { opcode: Opcode.writeLast, payload: new Uint8Array(500 - MTU) },
    send(cdc(2, 700, 100, ['writeBlocked', 'urgentPresent'])),
    { opcode: Opcode.acknowledge, acknowledge: { syndrome: 0x60, count: 1 } },
    send(cdc(3, 700, 500, ['cursorUpdateRequested'], ['doneWriting'])),
    send(cdc(4, 700, 500, [], ['doneWriting', 'closed'])),
  ]),
  control: conversation([
    send(llc({ kind: 'test-link', userData: new Uint8Array(16) })),
    send(llc({ kind: 'confirm-rkey', keys: [{ link: 0, rkey: 5, address: 9n }, none, none] })),
    send(
      llc({ kind: 'add-link', mac, gid, queuePair: 9, linkNumber: 2, mtu: 3, firstSequence: 5 }),
    ),
    send(llc({ kind: 'delete-rkey', unknown: 0, rkeys: [5] })),
    send(llc({ kind: 'delete-rkey', unknown: 0, rkeys: [0] }, true)),
    send(cdc(1, 0, 0, [], ['abort'])),
    send(llc({ kind: 'delete-link', linkNumber: 0, reason: 0x30000 })),
  ]),
  /** A message of several packets, which is none. */
  long: conversation([
    { opcode: Opcode.sendFirst, payload: new Uint8Array(MTU) },
    { opcode: Opcode.sendMiddle, payload: new Uint8Array(MTU) },
    { opcode: Opcode.sendLast, payload: new Uint8Array(10) },
  ]),
} as const;

/** A link of SMC-R with one connection that writes, and whatever its peer sends. */
export const smc: Target = {
  name: 'smc',
  seeds: new Map(Object.entries(seeds)),
  async run(bytes) {
    const kinds = new Set<string>();
    const note = (what: string, error: unknown) => {
      const code = AnoleError.is(error) ? error.code : (error as { code?: string }).code;
      if (code === undefined) throw error;
      kinds.add(`${what} ${code}`);
    };
    const link = new Link({
      role: 'client',
      identity: makeIdentity('10.0.0.1', new Uint8Array(6), 1500),
      queuePair: 2,
      transmit: (packet) => void kinds.add(`sent ${parseRoce(packet).opcode}`),
      onClose: () => void kinds.add('ended'),
    });
    const confirmed = link.confirm({ queuePair: 3, firstSequence: FIRST, mtu: MTU });
    confirmed.catch((error) => note('not confirmed', error));
    const socket = link.createSocket(RING);
    socket.open({ rkey: 1, address: 0n, size: PEER_RING, token: 1 });
    socket.on('data', () => kinds.add('data')).on('end', () => kinds.add('end'));
    socket.on('error', (error) => note('socket', error));
    socket.on('urgent', () => kinds.add('urgent'));
    socket.write(new Uint8Array(PEER_RING + 500));
    let expected = FIRST;
    for (let at = 0; at + 2 < bytes.length; ) {
      const length = bytes[at]! | (bytes[at + 1]! << 8);
      const packet = bytes.slice(at + 2, at + 2 + length);
      at += 2 + length;
      try {
        const meant = meaning(parseRoce(packet), {
          expected,
          socket,
          own: link.queuePair.firstSequence,
        });
        if (meant.sequence === expected) expected = (expected + 1) & 0xffffff;
        link.queuePair.receive(meant);
      } catch (error) {
        note('packet', error);
      }
      if (socket.ring.unread > RING) throw new Error('more is unread than there is room for');
    }
    await new Promise(setImmediate);
    link.end(new AnoleError('TEST_OVER', 'The test is over'));
    await new Promise(setImmediate);
    return kinds;
  },
};

/** What a packet of {@link conversation} means in the link that there is. */
function meaning(
  packet: RocePacket,
  link: {
    readonly expected: number;
    readonly own: number;
    readonly socket: ReturnType<Link['createSocket']>;
  },
): RocePacket {
  const { token, ring } = link.socket;
  const payload = packet.payload.slice();
  const isMessage = payload[0] === 0xfe && payload.length >= 8;
  if (isMessage && payload[7] === 1) new DataView(payload.buffer).setUint32(4, token);
  const { write, sequence, acknowledge } = packet;
  const { rkey, address } = ring.region;
  const base = acknowledge === undefined ? link.expected : link.own;
  return {
    ...packet,
    payload,
    sequence: sequence === 0 ? base : (base + sequence) & 0xffffff,
    ...(write?.rkey === 1 && {
      write: { rkey, address: BigInt.asUintN(64, address + write.address), length: write.length },
    }),
  };
}
