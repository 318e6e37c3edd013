import { viewOf } from '@anole/bytes';
import { ARP_ETHERNET, ARP_REPLY, ARP_REQUEST, Arp, TYPE_IPV4 } from './layout/ethernet.ts';
import type { Network } from './network.ts';

/** The reply to an ARP packet, where one is due: for the addresses of the stack. */
export function answerArp(packet: Uint8Array, network: Network): Uint8Array | undefined {
  if (packet.length < Arp.size) return undefined;
  const request = Arp.read(viewOf(packet), 0);
  const isRequest =
    request.hardwareType === ARP_ETHERNET &&
    request.protocolType === TYPE_IPV4 &&
    request.hardwareLength === 6 &&
    request.protocolLength === 4 &&
    request.operation === ARP_REQUEST;
  if (!isRequest || (request.targetIp !== network.gateway && request.targetIp !== network.dns)) {
    return undefined;
  }
  return Arp.encode({
    ...request,
    operation: ARP_REPLY,
    senderMac: network.mac,
    senderIp: request.targetIp,
    targetMac: request.senderMac,
    targetIp: request.senderIp,
  });
}
