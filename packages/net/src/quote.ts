import { viewOf } from '@anole/bytes';
import { DONT_FRAGMENT, Ipv4Header, PROTOCOL_TCP } from './layout/ipv4.ts';
import type { Network } from './network.ts';
import { type Ipv4Packet, writeIpv4 } from './packet.ts';
import type { Ends } from './tcp/types.ts';

/** Bytes behind the header that ICMP errors give back (RFC 792). */
const quotedBytes = 8;

/** What an ICMP error gives back of a packet. */
export function quote({ header, body }: Ipv4Packet): Uint8Array {
  const quoted = new Uint8Array(header.length + quotedBytes);
  quoted.set(header);
  quoted.set(body.subarray(0, quotedBytes), header.length);
  return quoted;
}

/** The same of a SYN that was taken a while ago: what the guest's kernel looks at. */
export function quoteSyn(
  { guestPort, remote }: Ends,
  sequence: number,
  network: Network,
): Uint8Array {
  const quoted = new Uint8Array(Ipv4Header.size + quotedBytes);
  const view = viewOf(quoted);
  writeIpv4(quoted, 0, {
    protocol: PROTOCOL_TCP,
    source: network.guest,
    destination: remote.address,
    bodyLength: 20,
    fragment: DONT_FRAGMENT,
  });
  view.setUint16(Ipv4Header.size, guestPort);
  view.setUint16(Ipv4Header.size + 2, remote.port);
  view.setUint32(Ipv4Header.size + 4, sequence);
  return quoted;
}
