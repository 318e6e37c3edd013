import { viewOf } from '@anole/bytes';
import type { Ipv4 } from './address.ts';
import { addWords, checksum, fold, pseudoHeader } from './checksum.ts';
import { Ethernet, TYPE_IPV4 } from './layout/ethernet.ts';
import {
  DONT_FRAGMENT,
  ICMP_UNREACHABLE,
  Icmp,
  Ipv4Header,
  MORE_FRAGMENTS,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  UDP_CHECKSUM,
  Udp,
} from './layout/ipv4.ts';
import { TCP_CHECKSUM, Tcp } from './layout/tcp.ts';
import type { Link, Offload } from './link.ts';
import type { Network } from './network.ts';
import type { Endpoint } from './outside.ts';
import { type Ipv4Fields, writeIpv4 } from './packet.ts';
import { writeOptions } from './tcp/segment.ts';
import type { Outgoing } from './tcp/types.ts';

const IP_AT = Ethernet.size;
const BODY_AT = IP_AT + Ipv4Header.size;
const noOffload: Offload = {};

/** Makes frames for the guest. Each call is false where the guest has no room now. */
export class Sender {
  readonly #link: Link;
  readonly #network: Network;
  #identification = 0;

  constructor(link: Link, network: Network) {
    this.#link = link;
    this.#network = network;
  }

  /** Bytes of data in a segment that stands for several of `mss` bytes. */
  largest(mss: number): number {
    if (!this.#link.accepts('segments4')) return mss;
    return Math.floor((0xffff - Ipv4Header.size - Tcp.size) / mss) * mss;
  }

  ethernet(type: number, payload: Uint8Array): boolean {
    const headers = new Uint8Array(Ethernet.size + payload.length);
    this.#ethernet(headers, type);
    headers.set(payload, Ethernet.size);
    return this.#link.send(headers, [], noOffload);
  }

  segment(from: Endpoint, guestPort: number, segment: Outgoing): boolean {
    const options = segment.options ? writeOptions(segment.options) : undefined;
    const headerLength = Tcp.size + (options?.length ?? 0);
    const headers = new Uint8Array(BODY_AT + headerLength);
    const dataLength = lengthOf(segment.data);
    const length = headerLength + dataLength;
    this.#ethernet(headers, TYPE_IPV4);
    this.#ip(headers, {
      protocol: PROTOCOL_TCP,
      source: from.address,
      bodyLength: length,
      fragment: DONT_FRAGMENT,
    });
    Tcp.write(viewOf(headers), BODY_AT, {
      source: from.port,
      destination: guestPort,
      sequence: segment.sequence,
      acknowledgment: segment.acknowledgment,
      dataOffset: (headerLength / 4) << 4,
      flags: segment.flags,
      window: segment.window,
      checksum: 0,
      urgent: 0,
    });
    if (options !== undefined) headers.set(options, BODY_AT + Tcp.size);
    const pseudo = pseudoHeader(from.address, this.#network.guest, PROTOCOL_TCP, length);
    const left = this.#finish(headers, segment.data, pseudo, TCP_CHECKSUM);
    const parts = dataLength > segment.mss && left.checksum !== undefined;
    const segments = { version: 4, size: segment.mss } as const;
    return this.#link.send(headers, segment.data, parts ? { ...left, segments } : left);
  }

  /** A datagram, in fragments where it is larger than a packet may be. */
  datagram(from: Endpoint, guestPort: number, data: Uint8Array): boolean {
    const length = Udp.size + data.length;
    const packet = new Uint8Array(length);
    Udp.write(viewOf(packet), 0, {
      source: from.port,
      destination: guestPort,
      length,
      checksum: 0,
    });
    packet.set(data, Udp.size);
    const pseudo = pseudoHeader(from.address, this.#network.guest, PROTOCOL_UDP, length);
    // 0 stands for no checksum (RFC 768).
    const sum = checksum(packet, 0, length, pseudo) || 0xffff;
    viewOf(packet).setUint16(UDP_CHECKSUM, sum);
    return this.#fragments(PROTOCOL_UDP, from.address, packet);
  }

  /** @param body what follows the ICMP header */
  icmp(from: Ipv4, type: number, code: number, rest: number, body: Uint8Array): boolean {
    const packet = new Uint8Array(Icmp.size + body.length);
    const view = viewOf(packet);
    Icmp.write(view, 0, { type, code, checksum: 0, rest });
    packet.set(body, Icmp.size);
    view.setUint16(Icmp.offsets.checksum, checksum(packet));
    return this.#fragments(PROTOCOL_ICMP, from, packet);
  }

  /** Tells the guest that a packet of its own goes nowhere. @param quoted its beginning */
  unreachable(code: number, quoted: Uint8Array): boolean {
    return this.icmp(this.#network.gateway, ICMP_UNREACHABLE, code, 0, quoted);
  }

  #fragments(protocol: number, from: Ipv4, packet: Uint8Array): boolean {
    const most = (this.#network.mtu - Ipv4Header.size) & ~7;
    const identification = this.#identification++ & 0xffff;
    for (let at = 0; at < packet.length || at === 0; at += most) {
      const part = packet.subarray(at, at + most);
      const more = at + most < packet.length ? MORE_FRAGMENTS : 0;
      const headers = new Uint8Array(BODY_AT);
      this.#ethernet(headers, TYPE_IPV4);
      this.#ip(headers, {
        protocol,
        source: from,
        bodyLength: part.length,
        fragment: more | (at >> 3),
        identification,
      });
      if (!this.#link.send(headers, [part], noOffload)) return false;
    }
    return true;
  }

  /** Puts TCP's checksum: all of it, or what the guest completes. */
  #finish(
    headers: Uint8Array,
    data: readonly Uint8Array[],
    pseudo: number,
    offset: number,
  ): Offload {
    const view = viewOf(headers);
    if (this.#link.accepts('checksum')) {
      view.setUint16(BODY_AT + offset, fold(pseudo));
      return { checksum: { start: BODY_AT, offset } };
    }
    view.setUint16(BODY_AT + offset, ~sumOf([headers.subarray(BODY_AT), ...data], pseudo));
    return noOffload;
  }

  #ethernet(headers: Uint8Array, type: number): void {
    headers.set(this.#network.guestMac);
    headers.set(this.#network.mac, 6);
    viewOf(headers).setUint16(12, type);
  }

  #ip(headers: Uint8Array, fields: Omit<Ipv4Fields, 'destination'>): void {
    writeIpv4(headers, IP_AT, { ...fields, destination: this.#network.guest });
  }
}

function lengthOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}

/** The folded sum over pieces, of which all may have an odd length. */
function sumOf(pieces: readonly Uint8Array[], start: number): number {
  let sum = start;
  let odd = false;
  for (const piece of pieces) {
    const part = fold(addWords(0, piece));
    // Behind an odd number of bytes, words are swapped (RFC 1071, 2).
    sum += odd ? ((part & 0xff) << 8) | (part >> 8) : part;
    odd = odd !== (piece.length % 2 === 1);
  }
  return fold(sum);
}
