import { struct, u8, u16, u32 } from '@anole/bytes';

/** RFC 791, 3.1, without options. */
export const Ipv4Header = struct(
  'IPv4 header',
  20,
  {
    /** 4, and the header's length in words of 32 bits. */
    versionAndLength: u8,
    typeOfService: u8,
    totalLength: u16,
    identification: u16,
    /** Three flags, and the offset in units of 8 bytes. */
    fragment: u16,
    timeToLive: u8,
    protocol: u8,
    checksum: u16,
    source: u32,
    destination: u32,
  },
  { endian: 'big' },
);

export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;
export const FRAGMENT_OFFSET = 0x1fff;

/** IANA's protocol numbers. */
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

/** RFC 792. `rest` is the identifier and sequence number of an echo. */
export const Icmp = struct(
  'ICMP header',
  8,
  { type: u8, code: u8, checksum: u16, rest: u32 },
  { endian: 'big' },
);

export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_ECHO = 8;

/** Codes of "destination unreachable" (RFC 792, RFC 1812 5.2.7.1). */
export const Unreachable = { net: 0, host: 1, port: 3, prohibited: 13 } as const;

/** RFC 768. */
export const Udp = struct(
  'UDP header',
  8,
  { source: u16, destination: u16, length: u16, checksum: u16 },
  { endian: 'big' },
);
export const UDP_CHECKSUM = 6;
