import { viewOf } from '@anole/bytes';
import { formatIpv4, type Ipv4, inRange } from './address.ts';
import { answerArp } from './arp.ts';
import type { Capture } from './capture.ts';
import { checksum, pseudoHeader } from './checksum.ts';
import { answerDhcp } from './dhcp.ts';
import { Lookups } from './dns/lookups.ts';
import { DnsService } from './dns/service.ts';
import { DnsStream, truncated } from './dns/stream.ts';
import type { NetworkEvent } from './events.ts';
import { CLIENT_PORT, SERVER_PORT } from './layout/dhcp.ts';
import { Ethernet, TYPE_ARP, TYPE_IPV4 } from './layout/ethernet.ts';
import * as I from './layout/ipv4.ts';
import type { Link, Offload } from './link.ts';
import { guestNetwork, type Network } from './network.ts';
import type { Endpoint, Outside, OutsideStream, StreamEvents } from './outside.ts';
import { type Ipv4Packet, readIpv4 } from './packet.ts';
import type { Policy } from './policy/policy.ts';
import type { Protocol } from './policy/rule.ts';
import { quote, quoteSyn } from './quote.ts';
import { Reassembly } from './reassembly.ts';
import { Sender } from './sender.ts';
import { type NoWay, TcpLayer } from './tcp/layer.ts';
import { readSegment } from './tcp/segment.ts';
import type { ConnectionRecord } from './tcp/types.ts';
import { UdpMappings } from './udp.ts';

export interface StackOptions {
  readonly link: Link;
  readonly outside: Outside;
  readonly policy: Policy;
  /** Default: {@link guestNetwork}. */
  readonly network?: Network;
  /** Milliseconds, never going back. Default: `performance.now`. */
  readonly now?: () => number;
  /** Told what the guest tries, once for each connection or datagram socket's destination. */
  readonly onEvent?: (event: NetworkEvent) => void;
  /** Sees every frame. */
  readonly capture?: Capture;
}

const DNS_PORT = 53;
/** Ports of the gateway from which published connections come to the guest (RFC 6335, 6). */
const firstEphemeral = 49152;
const LOOPBACK = 0x7f000001;
const BROADCAST = 0xffff_ffff;

/**
 * The other end of a guest's cable: a network that ends in this process. What the guest sends to
 * addresses of the world goes out over sockets of the host, where the policy lets it.
 *
 * @example
 * const stack = new NetworkStack({ link: device, outside, policy: new Policy({ public: true }) });
 */
export class NetworkStack {
  readonly network: Network;
  readonly #options: StackOptions;
  readonly #link: Link;
  readonly #sender: Sender;
  readonly #tcp: TcpLayer;
  readonly #udp: UdpMappings;
  readonly #dns: DnsService;
  readonly #lookups: Lookups;
  readonly #reassembly: Reassembly;
  #nextPublished = 0;

  constructor(options: StackOptions) {
    const { outside, policy, onEvent = () => {}, network = guestNetwork } = options;
    const now = options.now ?? (() => performance.now());
    this.network = network;
    this.#options = { ...options, onEvent };
    this.#link = options.capture ? captured(options.link, options.capture) : options.link;
    this.#sender = new Sender(this.#link, network);
    this.#lookups = new Lookups(now);
    this.#reassembly = new Reassembly(now);
    this.#dns = new DnsService({
      outside,
      policy,
      lookups: this.#lookups,
      gateway: network.gateway,
      onEvent,
    });
    this.#udp = new UdpMappings({
      outside,
      now,
      deliver: (from, guestPort, data) => void this.#sender.datagram(from, guestPort, data),
    });
    this.#tcp = new TcpLayer({
      mss: network.mtu - 40,
      now,
      largest: (mss) => this.#sender.largest(mss),
      transmit: (from, guestPort, segment) => this.#sender.segment(from, guestPort, segment),
      connect: (to, events) => this.#connect(to, events),
      unreachable: (ends, sequence, why) => {
        const code = why === 'prohibited' ? I.Unreachable.prohibited : I.Unreachable.host;
        // Linux takes it for a passing trouble while connect(2) still holds the socket.
        queueMicrotask(() => this.#sender.unreachable(code, quoteSyn(ends, sequence, network)));
      },
    });
  }

  /**
   * Takes a frame of the guest's.
   *
   * @returns whether the stack keeps any of its memory
   */
  receive(frame: Uint8Array, offload: Offload): boolean {
    this.#options.capture?.add([frame], offload);
    if (frame.length < Ethernet.size) return false;
    const type = viewOf(frame).getUint16(12);
    if (type === TYPE_ARP) {
      const reply = answerArp(frame.subarray(Ethernet.size), this.network);
      if (reply !== undefined) this.#sender.ethernet(TYPE_ARP, reply);
    } else if (type === TYPE_IPV4) {
      const packet = readIpv4(frame, Ethernet.size);
      return packet !== undefined && this.#receivePacket(packet, offload.checksum !== undefined);
    }
    return false;
  }

  /** The guest's frames were received, for now. */
  flush(): void {
    this.#tcp.flush();
  }

  /** The guest has room for frames again. */
  room(): void {
    this.#tcp.room();
  }

  /**
   * Hands a connection that came to a published port to the guest.
   *
   * @param open gives its stream, which tells nothing before this turn of the event loop ends
   * @returns false where there are too many
   */
  accept(guestPort: number, open: (events: StreamEvents) => OutsideStream): boolean {
    const port = firstEphemeral + (this.#nextPublished++ % (65536 - firstEphemeral));
    return this.#tcp.accept({ address: this.network.gateway, port }, guestPort, open);
  }

  /** Connections and sockets at the moment. */
  get usage(): { readonly tcp: number; readonly udp: number } {
    return { tcp: this.#tcp.size, udp: this.#udp.size };
  }

  /** The guest's TCP connections at the moment, for {@link reset}. */
  get connections(): readonly ConnectionRecord[] {
    return this.#tcp.records();
  }

  /** Ends connections of a guest that goes on here and had them elsewhere. */
  reset(connections: readonly ConnectionRecord[]): void {
    this.#tcp.reset(connections);
  }

  /** Closes all that is open outside. */
  close(): void {
    this.#tcp.close();
    this.#udp.close();
  }

  #receivePacket(packet: Ipv4Packet, trusted: boolean): boolean {
    const isFragment = packet.more || packet.offset > 0;
    const whole = isFragment ? this.#reassembly.add(packet) : packet;
    if (whole === undefined) return false;
    const { protocol, destination } = whole;
    const isUdp = protocol === I.PROTOCOL_UDP;
    // A guest that has no address yet asks for one; from others nothing is taken.
    if (whole.source !== this.network.guest && !(isUdp && destination === BROADCAST)) return false;
    if (protocol === I.PROTOCOL_TCP) return this.#receiveTcp(whole, trusted);
    if (isUdp) this.#receiveUdp(whole, trusted);
    else if (protocol === I.PROTOCOL_ICMP) this.#receiveIcmp(whole);
    return isUdp;
  }

  #receiveTcp(packet: Ipv4Packet, trusted: boolean): boolean {
    if (!trusted && !isIntact(packet)) return false;
    const segment = readSegment(packet.body);
    if (segment === undefined || this.#isNowhere(packet.destination)) return false;
    return this.#tcp.receive({ address: packet.destination, port: segment.destination }, segment);
  }

  #receiveUdp(packet: Ipv4Packet, trusted: boolean): void {
    const { body, destination } = packet;
    if (body.length < I.Udp.size) return;
    const header = I.Udp.at(viewOf(body));
    const { source, destination: port, length } = header;
    if (length < I.Udp.size || length > body.length) return;
    if (!trusted && header.checksum !== 0 && !isIntact(packet, length)) return;
    const data = body.subarray(I.Udp.size, length);
    const isOurs = destination === this.network.gateway || destination === BROADCAST;
    if (port === SERVER_PORT && source === CLIENT_PORT && isOurs) this.#answerDhcp(data);
    else if (destination === this.network.dns && port === DNS_PORT) {
      void this.#answerDns(source, data);
    } else if (!this.#isNowhere(destination)) this.#sendOut(packet, { source, port }, data);
  }

  #sendOut(
    packet: Ipv4Packet,
    { source, port }: { source: number; port: number },
    data: Uint8Array,
  ): void {
    const seen = { address: packet.destination, port };
    const to = this.#resolve(seen);
    if (to !== undefined && (this.#udp.knows(source, to) || this.#judge('udp', to))) {
      this.#udp.send(source, to, seen, data);
    } else this.#sender.unreachable(I.Unreachable.prohibited, quote(packet));
  }

  #receiveIcmp(packet: Ipv4Packet): void {
    const { body, destination } = packet;
    if (body.length < I.Icmp.size || checksum(body) !== 0) return;
    const { type, rest } = I.Icmp.at(viewOf(body));
    if (type !== I.ICMP_ECHO || this.#isNowhere(destination)) return;
    if (destination === this.network.gateway || destination === this.network.dns) {
      this.#sender.icmp(destination, I.ICMP_ECHO_REPLY, 0, rest, body.subarray(I.Icmp.size));
      return;
    }
    // Sockets of the host cannot ping without rights; a made-up answer would be a lie.
    this.#sender.unreachable(I.Unreachable.prohibited, quote(packet));
  }

  #answerDhcp(message: Uint8Array): void {
    const answer = answerDhcp(message, this.network);
    if (answer === undefined) return;
    const from = { address: this.network.gateway, port: SERVER_PORT };
    this.#sender.datagram(from, CLIENT_PORT, answer);
  }

  async #answerDns(guestPort: number, message: Uint8Array): Promise<void> {
    const answer = await this.#dns.answer(message);
    if (answer === undefined) return;
    const from = { address: this.network.dns, port: DNS_PORT };
    this.#sender.datagram(from, guestPort, truncated(answer, message));
  }

  #connect(seen: Endpoint, events: StreamEvents): OutsideStream | NoWay {
    if (seen.address === this.network.dns && seen.port === DNS_PORT) {
      return new DnsStream(this.#dns, events);
    }
    const to = this.#resolve(seen);
    if (to === undefined) return 'refused';
    return this.#judge('tcp', to) ? this.#options.outside.connect(to, events) : 'prohibited';
  }

  /** What an address of the guest's network stands for. */
  #resolve(seen: Endpoint): Endpoint | undefined {
    if (seen.address === this.network.gateway) return { ...seen, address: LOOPBACK };
    return seen.address === this.network.dns ? undefined : seen;
  }

  #judge(protocol: Protocol, { address, port }: Endpoint): boolean {
    const names = this.#lookups.namesOf(address);
    const isOwn = this.#options.outside.isOwn(address);
    const verdict = this.#options.policy.check({ protocol, address, port, names }, isOwn);
    const { allowed, reason } = verdict;
    const where = { protocol, address: formatIpv4(address), port, names };
    this.#options.onEvent!({ type: 'connection', ...where, allowed, reason });
    return allowed;
  }

  /** Addresses that nothing is sent to: groups, and what is not there of the guest's own network. */
  #isNowhere(address: Ipv4): boolean {
    const { range, gateway, dns } = this.network;
    if (inRange(address, range)) return address !== gateway && address !== dns;
    return address >= 0xe000_0000 || address === 0;
  }
}

/** Whether the checksum of a TCP segment or UDP datagram is right. */
function isIntact(
  { source, destination, protocol, body }: Ipv4Packet,
  length = body.length,
): boolean {
  return checksum(body, 0, length, pseudoHeader(source, destination, protocol, length)) === 0;
}

/** A link whose frames to the guest are captured, too: those that it took. */
function captured(link: Link, capture: Capture): Link {
  return {
    accepts: (what) => link.accepts(what),
    send(headers, data, offload) {
      const sent = link.send(headers, data, offload);
      if (sent) capture.add([headers, ...data], offload);
      return sent;
    },
  };
}
