import { type Ipv4, type Ipv4Range, inRange, parseIpv4Range } from '../address.ts';

/** Ranges that are not the public Internet: IANA's special-purpose registry (RFC 6890) and multicast. */
export const privateRanges: readonly Ipv4Range[] = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private use
  '100.64.0.0/10', // shared with the provider's NAT
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local: metadata of clouds
  '172.16.0.0/12', // private use
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation: the stack's own network
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private use
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, broadcast
].map((text) => parseIpv4Range(text)!);

/** The special range that an address is in. */
export function privateRangeOf(address: Ipv4): Ipv4Range | undefined {
  return privateRanges.find((range) => inRange(address, range));
}
