import { viewOf } from '@anole/bytes';
import type { Ipv4 } from './address.ts';
import * as D from './layout/dhcp.ts';
import type { Network } from './network.ts';

const { Message, Option } = D;
const leaseTime = 86400; // s
/** What clients may rely on: RFC 951 has messages of 300 bytes. */
const leastMessage = 300;

/**
 * The answer of a DHCP server (RFC 2131) that has one address to give: the guest's.
 *
 * @returns undefined where none is due
 */
export function answerDhcp(message: Uint8Array, network: Network): Uint8Array | undefined {
  if (message.length < D.Dhcp.size) return undefined;
  const request = D.Dhcp.read(viewOf(message), 0);
  if (request.operation !== D.BOOT_REQUEST || request.cookie !== D.COOKIE) return undefined;
  const options = readOptions(message.subarray(D.Dhcp.size));
  const type = answerType(options, request.clientIp, network);
  if (type === undefined) return undefined;
  const reply = writeOptions(type, network);
  const answer = new Uint8Array(Math.max(leastMessage, D.Dhcp.size + reply.length));
  const given = type === Message.nak ? 0 : network.guest;
  D.Dhcp.write(viewOf(answer), 0, {
    ...request,
    operation: D.BOOT_REPLY,
    hops: 0,
    seconds: 0,
    yourIp: given,
    serverIp: network.gateway,
    serverName: new Uint8Array(64),
    file: new Uint8Array(128),
  });
  answer.set(reply, D.Dhcp.size);
  return answer;
}

function answerType(
  options: ReadonlyMap<number, Uint8Array>,
  clientIp: Ipv4,
  network: Network,
): number | undefined {
  const server = addressIn(options.get(Option.serverId));
  if (server !== undefined && server !== network.gateway) return undefined; // it chose another one
  const type = options.get(Option.messageType)?.[0];
  if (type === Message.discover) return Message.offer;
  if (type === Message.inform) return Message.ack;
  if (type !== Message.request) return undefined;
  const wanted = addressIn(options.get(Option.requestedIp)) ?? clientIp;
  return wanted === network.guest ? Message.ack : Message.nak;
}

function readOptions(bytes: Uint8Array): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  for (let at = 0; at < bytes.length && bytes[at] !== Option.end; ) {
    if (bytes[at] === Option.pad) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    options.set(bytes[at]!, bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return options;
}

function writeOptions(type: number, network: Network): Uint8Array {
  const options = [Option.messageType, 1, type, ...number(Option.serverId, network.gateway)];
  if (type !== Message.nak) {
    options.push(
      ...number(Option.leaseTime, leaseTime),
      ...number(Option.subnetMask, (-1 << (32 - network.range.prefix)) >>> 0),
      ...number(Option.router, network.gateway),
      ...number(Option.dns, network.dns),
      ...[Option.mtu, 2, network.mtu >> 8, network.mtu & 255],
    );
  }
  return Uint8Array.from([...options, Option.end]);
}

function number(option: number, value: number): number[] {
  return [option, 4, value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

function addressIn(bytes: Uint8Array | undefined): Ipv4 | undefined {
  return bytes?.length === 4 ? viewOf(bytes).getUint32(0) : undefined;
}
