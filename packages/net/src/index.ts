/**
 * A network in this process: what a virtual machine's network card is connected to. Runs in browsers.
 *
 * @example
 * import { NetworkStack, Policy } from '@anole/net';
 * const policy = new Policy({ allow: ['*.debian.org:80,443'] });
 * const stack = new NetworkStack({ link, outside, policy, onEvent: console.log });
 */
export { formatIpv4, type Ipv4, parseIpv4 } from './address.ts';
export { Capture, type CaptureSink } from './capture.ts';
export { readQuestion, writeAddresses, writeQuery } from './dns/message.ts';
export { hostName } from './dns/service.ts';
export { type NetCode, NetError } from './errors.ts';
export type { NetworkEvent } from './events.ts';
export type { Link, Offload } from './link.ts';
export { guestNetwork, type Network } from './network.ts';
export type {
  ConnectFailure,
  DatagramEvents,
  Endpoint,
  Outside,
  OutsideDatagrams,
  OutsideStream,
  StreamEvents,
} from './outside.ts';
export { Policy, type PolicyOptions } from './policy/policy.ts';
export { parseRule } from './policy/rule.ts';
export { NetworkStack, type StackOptions } from './stack.ts';
export type { ConnectionRecord } from './tcp/types.ts';
