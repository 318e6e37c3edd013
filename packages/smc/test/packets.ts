import { viewOf } from '@anole/bytes';
import { icrcOf } from '@anole/smc';

/** One packet from IP on, for captures of link type 101 (raw IP). */
export function tcpPacket(options: {
  readonly from: readonly [string, number];
  readonly to: readonly [string, number];
  readonly sequence: number;
  /** Default: ACK and PSH. */
  readonly flags?: number;
  readonly options?: readonly number[];
  readonly payload?: Uint8Array;
}): Uint8Array {
  const { from, to, sequence, flags = 0x18, payload = new Uint8Array() } = options;
  const extra = options.options ?? [];
  const transport = new Uint8Array(20 + extra.length + payload.length);
  const view = viewOf(transport);
  view.setUint16(0, from[1]);
  view.setUint16(2, to[1]);
  view.setUint32(4, sequence);
  transport[12] = ((20 + extra.length) / 4) << 4;
  transport[13] = flags;
  view.setUint16(14, 65535);
  transport.set(extra, 20);
  transport.set(payload, 20 + extra.length);
  return ipPacket(6, from[0], to[0], transport);
}

export const SMC_OPTION = [254, 6, 0xe2, 0xd4, 0xc3, 0xd9, 1, 1];

/** A SEND of RoCE v2 with its checksum; `payload` is a multiple of four. */
export function sendPacket(from: string, to: string, payload: Uint8Array, psn = 0): Uint8Array {
  const udp = new Uint8Array(8 + 12 + payload.length + 4);
  const view = viewOf(udp);
  view.setUint16(0, 49152);
  view.setUint16(2, 4791);
  view.setUint16(4, udp.length);
  udp.set([0x04, 0, 0xff, 0xff, 0, 0, 0, 0x11, 0x80], 8);
  view.setUint32(8 + 8, (0x80 << 24) | psn);
  udp.set(payload, 20);
  const packet = ipPacket(17, from, to, udp);
  const end = packet.length - 4;
  viewOf(packet).setUint32(end, icrcOf(packet.subarray(0, end)), true);
  return packet;
}

function ipPacket(protocol: number, from: string, to: string, body: Uint8Array): Uint8Array {
  const packet = new Uint8Array(20 + body.length);
  packet.set([0x45, 0, packet.length >> 8, packet.length & 0xff, 0, 0, 0x40, 0, 64, protocol]);
  packet.set(from.split('.').map(Number), 12);
  packet.set(to.split('.').map(Number), 16);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += viewOf(packet).getUint16(at);
  viewOf(packet).setUint16(10, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
  packet.set(body, 20);
  return packet;
}

/** A capture of packets from IP on, one each millisecond. */
export function pcapOf(packets: readonly Uint8Array[]): Uint8Array {
  const size = packets.reduce((sum, packet) => sum + 16 + packet.length, 24);
  const bytes = new Uint8Array(size);
  const view = viewOf(bytes);
  [0xa1b2c3d4, 0x00020004, 0, 0, 262144, 101].forEach((word, index) => {
    view.setUint32(index * 4, word);
  });
  let at = 24;
  for (const [index, packet] of packets.entries()) {
    [1, index * 1000, packet.length, packet.length].forEach((word, place) => {
      view.setUint32(at + place * 4, word);
    });
    bytes.set(packet, at + 16);
    at += 16 + packet.length;
  }
  return bytes;
}

/** The same packets as pcapng, little-endian, times in nanoseconds. */
export function pcapngOf(packets: readonly Uint8Array[]): Uint8Array {
  const block = (type: number, body: Uint8Array): Uint8Array => {
    const length = 12 + Math.ceil(body.length / 4) * 4;
    const bytes = new Uint8Array(length);
    const view = viewOf(bytes);
    view.setUint32(0, type, true);
    view.setUint32(4, length, true);
    bytes.set(body, 8);
    view.setUint32(length - 4, length, true);
    return bytes;
  };
  const words = (...values: number[]): Uint8Array =>
    new Uint8Array(Uint32Array.from(values).buffer);
  const blocks = [
    block(0x0a0d0d0a, words(0x1a2b3c4d, 0x00000001, 0xffffffff, 0xffffffff)),
    block(1, words(101, 262144, 0x00010009, 9, 0)),
    ...packets.map((packet, index) => {
      const time = 1_000_000_000 + index * 1_000_000;
      const head = words(
        0,
        Math.floor(time / 2 ** 32),
        time % 2 ** 32,
        packet.length,
        packet.length,
      );
      const body = new Uint8Array(head.length + packet.length);
      body.set(head);
      body.set(packet, head.length);
      return block(6, body);
    }),
  ];
  const bytes = new Uint8Array(blocks.reduce((sum, each) => sum + each.length, 0));
  let at = 0;
  for (const each of blocks) {
    bytes.set(each, at);
    at += each.length;
  }
  return bytes;
}
