import { viewOf } from '@anole/bytes';
import type { Ipv4 } from './address.ts';
import { checksum } from './checksum.ts';
import { FRAGMENT_OFFSET, Ipv4Header, MORE_FRAGMENTS } from './layout/ipv4.ts';

/** An IPv4 packet or a fragment of one. `header` and `body` alias the frame. */
export interface Ipv4Packet {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly protocol: number;
  readonly identification: number;
  /** Bytes before this fragment; with `more`, others follow. */
  readonly offset: number;
  readonly more: boolean;
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** Reads the packet that begins at `start` of a frame; undefined for what is none. */
export function readIpv4(frame: Uint8Array, start: number): Ipv4Packet | undefined {
  if (frame.length < start + Ipv4Header.size) return undefined;
  const fields = Ipv4Header.at(viewOf(frame), start);
  const { versionAndLength, totalLength, fragment } = fields;
  const bodyAt = start + (versionAndLength & 15) * 4;
  const end = start + totalLength;
  if (versionAndLength >> 4 !== 4 || bodyAt < start + Ipv4Header.size) return undefined;
  if (bodyAt > end || end > frame.length || checksum(frame, start, bodyAt) !== 0) return undefined;
  return {
    source: fields.source,
    destination: fields.destination,
    protocol: fields.protocol,
    identification: fields.identification,
    offset: (fragment & FRAGMENT_OFFSET) * 8,
    more: (fragment & MORE_FRAGMENTS) !== 0,
    header: frame.subarray(start, bodyAt),
    body: frame.subarray(bodyAt, end),
  };
}

/** What of a header is not always the same. */
export interface Ipv4Fields {
  readonly protocol: number;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  /** Bytes behind the header. */
  readonly bodyLength: number;
  readonly fragment: number;
  readonly identification?: number;
}

const timeToLive = 64;

/** Writes a header with its checksum. */
export function writeIpv4(target: Uint8Array, start: number, fields: Ipv4Fields): void {
  const { bodyLength, identification = 0, ...rest } = fields;
  const view = viewOf(target);
  Ipv4Header.write(view, start, {
    versionAndLength: 0x45,
    typeOfService: 0,
    totalLength: Ipv4Header.size + bodyLength,
    identification,
    timeToLive,
    checksum: 0,
    ...rest,
  });
  const sum = checksum(target, start, start + Ipv4Header.size);
  view.setUint16(start + Ipv4Header.offsets.checksum, sum);
}
