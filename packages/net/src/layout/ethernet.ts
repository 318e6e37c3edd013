import { bytes, struct, u8, u16, u32 } from '@anole/bytes';

/** IEEE 802.3 with an EtherType, as RFC 894 uses it. */
export const Ethernet = struct(
  'ethernet header',
  14,
  { destination: bytes(6), source: bytes(6), type: u16 },
  { endian: 'big' },
);

export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;

/** RFC 826 for Ethernet and IPv4. */
export const Arp = struct(
  'ARP packet',
  28,
  {
    hardwareType: u16,
    protocolType: u16,
    hardwareLength: u8,
    protocolLength: u8,
    operation: u16,
    senderMac: bytes(6),
    senderIp: u32,
    targetMac: bytes(6),
    targetIp: u32,
  },
  { endian: 'big' },
);

export const ARP_ETHERNET = 1;
export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;
