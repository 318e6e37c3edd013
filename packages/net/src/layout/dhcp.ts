import { bytes, struct, u8, u16, u32 } from '@anole/bytes';

/** RFC 2131, 2, up to the options. */
export const Dhcp = struct(
  'DHCP message',
  240,
  {
    operation: u8,
    hardwareType: u8,
    hardwareLength: u8,
    hops: u8,
    transaction: u32,
    seconds: u16,
    flags: u16,
    clientIp: u32,
    yourIp: u32,
    serverIp: u32,
    relayIp: u32,
    clientMac: bytes(16),
    serverName: bytes(64),
    file: bytes(128),
    cookie: u32,
  },
  { endian: 'big' },
);

export const BOOT_REQUEST = 1;
export const BOOT_REPLY = 2;
export const COOKIE = 0x63825363;
export const SERVER_PORT = 67;
export const CLIENT_PORT = 68;

/** RFC 2132. */
export const Option = {
  pad: 0,
  subnetMask: 1,
  router: 3,
  dns: 6,
  mtu: 26,
  requestedIp: 50,
  leaseTime: 51,
  messageType: 53,
  serverId: 54,
  end: 255,
} as const;
export const Message = { discover: 1, offer: 2, request: 3, ack: 5, nak: 6, inform: 8 } as const;
