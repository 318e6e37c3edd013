import { type Ipv4, type Ipv4Range, parseIpv4 } from './address.ts';

/** The guest's network: a cable with nothing else on it than the stack. */
export interface Network {
  readonly range: Ipv4Range;
  readonly guest: Ipv4;
  readonly guestMac: Uint8Array;
  /** Stands for the host's loopback, too. */
  readonly gateway: Ipv4;
  readonly dns: Ipv4;
  /** Of gateway and name server. */
  readonly mac: Uint8Array;
  readonly mtu: number;
}

/**
 * The network that every guest has: TEST-NET-1 (RFC 5737), which is nobody's, so it never hides a network
 * that the host reaches. Each guest has its own: they do not meet.
 */
export const guestNetwork: Network = {
  range: { address: parseIpv4('192.0.2.0')!, prefix: 24 },
  gateway: parseIpv4('192.0.2.1')!,
  dns: parseIpv4('192.0.2.2')!,
  guest: parseIpv4('192.0.2.10')!,
  guestMac: Uint8Array.of(0x02, 0x61, 0x6e, 0x6f, 0x6c, 0x0a),
  mac: Uint8Array.of(0x02, 0x61, 0x6e, 0x6f, 0x6c, 0x01),
  mtu: 1500,
};
