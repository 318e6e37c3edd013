import type { Endpoint, Outside, OutsideDatagrams } from './outside.ts';

/** Sockets at once; with one more, that of which nothing was heard longest goes. */
const maxSockets = 128;
/** Ends that one socket may hear from: those it sent to last. */
const maxPeers = 64;
const idleTime = 60_000; // ms

interface Mapping {
  readonly socket: OutsideDatagrams;
  readonly peers: Map<string, Endpoint>;
  used: number;
}

export interface UdpOptions {
  readonly outside: Outside;
  readonly now: () => number;
  /** A datagram for a port of the guest. */
  readonly deliver: (from: Endpoint, guestPort: number, data: Uint8Array) => void;
}

/**
 * Sockets of the host for ports of the guest: one for each port, so that all the guest sends to see it as
 * one end (RFC 4787, 4.1), and deaf to whom the guest did not send to.
 */
export class UdpMappings {
  readonly #options: UdpOptions;
  /** By port of the guest; the one used last is last. */
  readonly #mappings = new Map<number, Mapping>();

  constructor(options: UdpOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#mappings.size;
  }

  /** Whether a port of the guest sends somewhere already. */
  knows(guestPort: number, to: Endpoint): boolean {
    return this.#mappings.get(guestPort)?.peers.has(keyOf(to)) ?? false;
  }

  /** @param seen where the guest believes it sends to: answers come from there */
  send(guestPort: number, to: Endpoint, seen: Endpoint, data: Uint8Array): void {
    const mapping = this.#mappings.get(guestPort) ?? this.#open(guestPort);
    mapping.used = this.#options.now();
    this.#mappings.delete(guestPort);
    this.#mappings.set(guestPort, mapping);
    const peer = keyOf(to);
    mapping.peers.delete(peer);
    mapping.peers.set(peer, seen);
    if (mapping.peers.size > maxPeers) mapping.peers.delete(mapping.peers.keys().next().value!);
    mapping.socket.send(to, data);
  }

  close(): void {
    for (const guestPort of [...this.#mappings.keys()]) this.#close(guestPort);
  }

  #open(guestPort: number): Mapping {
    const { now, outside, deliver } = this.#options;
    for (const [port, { used }] of this.#mappings) {
      if (used + idleTime < now() || this.#mappings.size >= maxSockets) this.#close(port);
    }
    const peers = new Map<string, Endpoint>();
    const socket = outside.datagrams({
      message: (from, bytes) => {
        const seen = peers.get(keyOf(from));
        const mapping = this.#mappings.get(guestPort);
        if (seen === undefined || mapping?.peers !== peers) return;
        mapping.used = now();
        deliver(seen, guestPort, bytes);
      },
      failed: () => {
        if (this.#mappings.get(guestPort)?.peers === peers) this.#close(guestPort);
      },
    });
    const mapping = { socket, peers, used: now() };
    this.#mappings.set(guestPort, mapping);
    return mapping;
  }

  #close(guestPort: number): void {
    this.#mappings.get(guestPort)?.socket.close();
    this.#mappings.delete(guestPort);
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
