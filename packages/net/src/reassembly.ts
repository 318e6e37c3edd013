import type { Ipv4Packet } from './packet.ts';

/** Packets in pieces at once, and how long the rest of one is waited for. */
const maxPackets = 16;
const patience = 10_000; // ms
const maxBody = 0xffff - 20;

interface Partial {
  readonly begun: number;
  readonly body: Uint8Array;
  /** How far it goes without a gap: pieces come in order, or the packet is lost. */
  filled: number;
}

/** Puts fragments of IPv4 packets together (RFC 791, 3.2), those that come in order. */
export class Reassembly {
  readonly #packets = new Map<string, Partial>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The whole packet with its last fragment; undefined before, and for fragments that do not fit. */
  add(packet: Ipv4Packet): Ipv4Packet | undefined {
    const { source, destination, protocol, identification, offset, more, body } = packet;
    const key = `${source} ${destination} ${protocol} ${identification}`;
    const partial = offset === 0 ? this.#begin(key) : this.#packets.get(key);
    const fits =
      partial !== undefined && offset === partial.filled && offset + body.length <= maxBody;
    if (!fits || (more && body.length % 8 !== 0) || body.length === 0) {
      this.#packets.delete(key);
      return undefined;
    }
    partial.body.set(body, offset);
    partial.filled += body.length;
    if (more) return undefined;
    this.#packets.delete(key);
    return { ...packet, offset: 0, body: partial.body.subarray(0, partial.filled) };
  }

  #begin(key: string): Partial {
    const now = this.#now();
    for (const [old, { begun }] of this.#packets) {
      if (begun + patience < now || this.#packets.size >= maxPackets) this.#packets.delete(old);
    }
    const partial = { begun: now, body: new Uint8Array(maxBody), filled: 0 };
    this.#packets.set(key, partial);
    return partial;
  }
}
