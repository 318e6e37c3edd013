import { viewOf } from '@anole/bytes';
import { checksum, pseudoHeader } from '../checksum.ts';
import type { NetworkEvent } from '../events.ts';
import { Ethernet, TYPE_IPV4 } from '../layout/ethernet.ts';
import { PROTOCOL_TCP, PROTOCOL_UDP, Udp } from '../layout/ipv4.ts';
import { TCP_CHECKSUM, Tcp } from '../layout/tcp.ts';
import type { Link, Offload } from '../link.ts';
import { guestNetwork } from '../network.ts';
import { type Ipv4Packet, readIpv4, writeIpv4 } from '../packet.ts';
import { Policy, type PolicyOptions } from '../policy/policy.ts';
import { NetworkStack } from '../stack.ts';
import { readSegment, type Segment } from '../tcp/segment.ts';
import { FakeOutside } from './outside.ts';

/** Without `allow`, the public Internet is open. */
export interface TestGuestOptions extends PolicyOptions {
  /** Whether the guest makes checksums and parts segments. Default true. */
  readonly offloads?: boolean;
}

interface TcpFields {
  readonly from: number;
  readonly to: number;
  readonly address: number;
  readonly sequence: number;
  readonly acknowledgment?: number;
  readonly flags: number;
  readonly window?: number;
  readonly options?: readonly number[];
  readonly data?: Uint8Array;
}

/** A guest's side of a stack, frame by frame, with time that stands still. */
export class TestGuest implements Link {
  readonly outside = new FakeOutside();
  readonly events: NetworkEvent[] = [];
  readonly stack: NetworkStack;
  /** Frames from the stack that were not looked at. */
  readonly frames: { readonly frame: Uint8Array; readonly offload: Offload }[] = [];
  /** How many more frames there is room for. */
  room = Number.POSITIVE_INFINITY;
  now = 0;
  readonly #offloads: boolean;

  constructor({ offloads = true, ...policy }: TestGuestOptions = {}) {
    this.#offloads = offloads;
    this.stack = new NetworkStack({
      link: this,
      outside: this.outside,
      policy: new Policy({ public: policy.allow === undefined, ...policy }),
      now: () => this.now,
      onEvent: (event) => this.events.push(event),
    });
  }

  accepts(): boolean {
    return this.#offloads;
  }

  send(headers: Uint8Array, data: readonly Uint8Array[], offload: Offload): boolean {
    if (this.room <= 0) return false;
    this.room--;
    this.frames.push({ frame: Buffer.concat([headers, ...data]), offload });
    return true;
  }

  /** Gives the stack a frame in hexadecimal, or one made here. */
  give(frame: Uint8Array | string, offload: Offload = {}): void {
    const bytes = typeof frame === 'string' ? Buffer.from(frame.replace(/\s/g, ''), 'hex') : frame;
    this.stack.receive(Uint8Array.from(bytes), offload);
    this.stack.flush();
  }

  /** Lets the turn of the event loop end. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  /** The frames that came since, in hexadecimal. */
  hex(): string[] {
    return this.frames.splice(0).map(({ frame }) => Buffer.from(frame).toString('hex'));
  }

  packets(): Ipv4Packet[] {
    return this.frames.splice(0).flatMap(({ frame }) => readIpv4(frame, Ethernet.size) ?? []);
  }

  segments(): Segment[] {
    return this.packets().flatMap(({ protocol, body }) =>
      protocol === PROTOCOL_TCP ? (readSegment(body) ?? []) : [],
    );
  }

  tcp(fields: TcpFields): void {
    const { options = [], data = new Uint8Array(0), window = 64240 } = fields;
    const body = new Uint8Array(Tcp.size + options.length + data.length);
    const view = viewOf(body);
    Tcp.write(view, 0, {
      source: fields.from,
      destination: fields.to,
      sequence: fields.sequence,
      acknowledgment: fields.acknowledgment ?? 0,
      dataOffset: ((Tcp.size + options.length) / 4) << 4,
      flags: fields.flags,
      window,
      checksum: 0,
      urgent: 0,
    });
    body.set(options, Tcp.size);
    body.set(data, Tcp.size + options.length);
    const { guest } = guestNetwork;
    const pseudo = pseudoHeader(guest, fields.address, PROTOCOL_TCP, body.length);
    view.setUint16(TCP_CHECKSUM, checksum(body, 0, body.length, pseudo));
    this.give(this.packet(PROTOCOL_TCP, fields.address, body));
  }

  udp(from: number, address: number, to: number, data: Uint8Array): void {
    const length = Udp.size + data.length;
    const body = new Uint8Array(length);
    Udp.write(viewOf(body), 0, { source: from, destination: to, length, checksum: 0 });
    body.set(data, Udp.size);
    this.give(this.packet(PROTOCOL_UDP, address, body));
  }

  /** A frame with an IPv4 packet of the guest's. */
  packet(
    protocol: number,
    destination: number,
    body: Uint8Array,
    fragment = 0,
    identification = 0,
  ): Uint8Array {
    const frame = new Uint8Array(34 + body.length);
    const { guest: source, guestMac, mac } = guestNetwork;
    Ethernet.write(viewOf(frame), 0, { destination: mac, source: guestMac, type: TYPE_IPV4 });
    const bodyLength = body.length;
    const fields = { protocol, source, destination, bodyLength, fragment, identification };
    writeIpv4(frame, Ethernet.size, fields);
    frame.set(body, 34);
    return frame;
  }
}
