import { crc32 } from 'node:zlib';
import { Bth, ICRC_BYTES } from '../layout/roce.ts';
import { ICRC_START } from './packet.ts';
import type { RoceAddress } from './port.ts';

const IP_BYTES = 20;
const UDP_BYTES = 8;
/** What the checksum covers before the transport's headers: the IP header without options, and UDP's. */
const HEAD_BYTES = IP_BYTES + UDP_BYTES;
const IP_ID = 4;

/**
 * Puts the invariant checksum behind a packet, as it will leave an unconnected socket that does not
 * let its packets be fragmented: such ones have 0 as the IP header's identification.
 */
export function seal(packet: Uint8Array, from: RoceAddress, to: RoceAddress): void {
  new DataView(packet.buffer, packet.byteOffset).setUint32(
    packet.length - ICRC_BYTES,
    checksum(packet, from, to),
    true,
  );
}

/**
 * Whether a packet can have left its sender so. The IP header does not come along with what a socket
 * receives, and its identification is covered: so the checksum has to be right for any one of them,
 * which one packet of 65536 that were damaged is, by accident.
 */
export function isSound(packet: Uint8Array, from: RoceAddress, to: RoceAddress): boolean {
  if (packet.length < Bth.size + ICRC_BYTES) return false;
  const end = packet.length - ICRC_BYTES;
  const told = new DataView(packet.buffer, packet.byteOffset).getUint32(end, true);
  let difference = (told ^ checksum(packet, from, to)) >>> 0;
  for (const vector of identifications(packet.length - ICRC_BYTES)) {
    if (Math.clz32(difference) === Math.clz32(vector)) difference = (difference ^ vector) >>> 0;
  }
  return difference === 0;
}

/** What changes on the way counts as ones: service, time to live, checksums, congestion. */
function checksum(packet: Uint8Array, from: RoceAddress, to: RoceAddress): number {
  const head = new Uint8Array(HEAD_BYTES + Bth.size);
  const view = new DataView(head.buffer);
  const udpBytes = UDP_BYTES + packet.length;
  head.set([0x45, 0xff]);
  view.setUint16(2, IP_BYTES + udpBytes);
  view.setUint16(6, 0x4000);
  head.set([0xff, 17, 0xff, 0xff], 8);
  head.set(from.address.split('.').map(Number), 12);
  head.set(to.address.split('.').map(Number), 16);
  view.setUint16(IP_BYTES, from.port);
  view.setUint16(IP_BYTES + 2, to.port);
  view.setUint16(IP_BYTES + 4, udpBytes);
  view.setUint16(IP_BYTES + 6, 0xffff);
  head.set(packet.subarray(0, Bth.size), HEAD_BYTES);
  head[HEAD_BYTES + 4] = 0xff;
  return crc32(packet.subarray(Bth.size, packet.length - ICRC_BYTES), crc32(head, ICRC_START));
}

/** By the length of the packet without its checksum. */
const known = new Map<number, readonly number[]>();

/**
 * How the checksum changes by the 16 bits of the identification, which is linear: vectors of which
 * each has a first bit that those after it do not have.
 */
function identifications(length: number): readonly number[] {
  const there = known.get(length);
  if (there !== undefined) return there;
  const bytes = new Uint8Array(HEAD_BYTES + length - IP_ID);
  const none = crc32(bytes);
  const vectors: number[] = [];
  for (let bit = 0; bit < 16; bit++) {
    bytes.set([(1 << bit) >>> 8, (1 << bit) & 0xff]);
    let vector = (crc32(bytes) ^ none) >>> 0;
    for (const each of vectors) vector = Math.min(vector, (vector ^ each) >>> 0);
    vectors.push(vector);
    vectors.sort((a, b) => b - a);
  }
  known.set(length, vectors);
  return vectors;
}
