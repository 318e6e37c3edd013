import { viewOf } from '@anole/bytes';
import type { CapturedPacket } from './pcap.ts';

/** A TCP segment or UDP datagram, found below whatever headers. Views alias the packet. */
export interface Datagram {
  readonly protocol: 'tcp' | 'udp';
  /** As text: 10.0.0.1 or fe80::1. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** From the IP header to the end of the packet. */
  readonly ip: Uint8Array;
  /** From the header of TCP or UDP on. */
  readonly transport: Uint8Array;
  readonly payload: Uint8Array;
}

const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd, vlan: 0x8100, service: 0x88a8 } as const;
/** Bytes before an ethertype. */
const etherTypeAt = new Map([
  [1, 12], // LINKTYPE_ETHERNET
  [113, 14], // LINKTYPE_LINUX_SLL
  [276, 0], // LINKTYPE_LINUX_SLL2
]);
const sll2Header = 20;
const MAX_TAGS = 4;

/** @returns undefined for what is neither TCP nor UDP, is a later fragment, or is cut short */
export function readDatagram({ linkType, bytes }: CapturedPacket): Datagram | undefined {
  const ip = ipOf(linkType, bytes);
  if (ip === undefined || ip.length < 1) return undefined;
  const version = ip[0]! >>> 4;
  if (version === 4) return readV4(ip);
  return version === 6 ? readV6(ip) : undefined;
}

function ipOf(linkType: number, bytes: Uint8Array): Uint8Array | undefined {
  const at = etherTypeAt.get(linkType);
  if (at !== undefined) return ipOfEthernet(linkType, bytes, at);
  // LINKTYPE_RAW and its older numbers; LINKTYPE_NULL and LINKTYPE_LOOP with a family before.
  if ([101, 12, 14, 228, 229].includes(linkType)) return bytes;
  return linkType === 0 || linkType === 108 ? bytes.subarray(4) : undefined;
}

function ipOfEthernet(linkType: number, bytes: Uint8Array, start: number): Uint8Array | undefined {
  const view = viewOf(bytes);
  let at = start;
  for (let tags = 0; tags <= MAX_TAGS; tags++) {
    if (at + 2 > bytes.length) return undefined;
    const type = view.getUint16(at);
    const next = linkType === 276 && tags === 0 ? sll2Header : at + 2;
    if (type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6) return bytes.subarray(next);
    if (type !== ETHERTYPE.vlan && type !== ETHERTYPE.service) return undefined;
    at = next + 2;
  }
  return undefined;
}

function readV4(bytes: Uint8Array): Datagram | undefined {
  if (bytes.length < 20) return undefined;
  const view = viewOf(bytes);
  const header = (bytes[0]! & 15) * 4;
  const total = view.getUint16(2);
  const isLaterFragment = (view.getUint16(6) & 0x1fff) !== 0;
  if (header < 20 || isLaterFragment) return undefined;
  // Segments that the network card would have cut have no length.
  const ip = bytes.subarray(0, total === 0 ? bytes.length : total);
  const source = [...bytes.subarray(12, 16)].join('.');
  const destination = [...bytes.subarray(16, 20)].join('.');
  return readTransport(ip, header, bytes[9]!, source, destination);
}

/** Extension headers that may stand before TCP and UDP: hop-by-hop, routing, destination. */
const extensions: ReadonlySet<number> = new Set([0, 43, 60]);

function readV6(bytes: Uint8Array): Datagram | undefined {
  if (bytes.length < 40) return undefined;
  const length = viewOf(bytes).getUint16(4);
  const ip = bytes.subarray(0, length === 0 ? bytes.length : 40 + length);
  let next = ip[6]!;
  let at = 40;
  while (extensions.has(next) && at + 8 <= ip.length) {
    next = ip[at]!;
    at += (ip[at + 1]! + 1) * 8;
  }
  const source = ipv6Text(bytes.subarray(8, 24));
  return readTransport(ip, at, next, source, ipv6Text(bytes.subarray(24, 40)));
}

function readTransport(
  ip: Uint8Array,
  start: number,
  number: number,
  source: string,
  destination: string,
): Datagram | undefined {
  const protocol = number === 6 ? 'tcp' : number === 17 ? 'udp' : undefined;
  const transport = ip.subarray(start);
  if (protocol === undefined || transport.length < (protocol === 'tcp' ? 20 : 8)) return undefined;
  const view = viewOf(transport);
  const header = protocol === 'tcp' ? (transport[12]! >>> 4) * 4 : 8;
  if (header < 8 || header > transport.length) return undefined;
  return {
    protocol,
    source,
    destination,
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    ip,
    transport,
    payload: transport.subarray(header),
  };
}

/** As RFC 5952 writes it; IPv4 addresses of RoCE's GIDs as such. */
export function ipv6Text(bytes: Uint8Array): string {
  const view = viewOf(bytes);
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(index * 2));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return [...bytes.subarray(12)].join('.');
  }
  const text = groups.map((group) => group.toString(16)).join(':');
  const runs = text.match(/(?:^|:)(?:0(?::|$)){2,}/g) ?? [];
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  return longest === '' ? text : text.replace(longest, '::');
}
