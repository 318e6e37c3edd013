import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import { SmcError } from '../errors.ts';
import { parseRoce } from '../roce/packet.ts';
import type { RocePort } from '../roce/port.ts';
import { UdpPort } from '../roce/udp-port.ts';
import { connectOver } from './client.ts';
import { type Identity, identityOf } from './identity.ts';
import { Link } from './link.ts';
import type { Outcome } from './outcome.ts';
import { acceptOver } from './server.ts';

export interface SmcROptions {
  /** IPv4 address of this host that RoCE uses, dotted. */
  readonly address: string;
  /** Enterprise identifiers, of which the peer has to have one; at most 8, each of 32 characters. */
  readonly eids: readonly string[];
  /** Bytes of the ring for what comes, of each connection: 16 KiB << n. Default: 128 KiB. */
  readonly ringSize?: number;
  /**
   * Whether a peer may use another address for RoCE than for the TCP connection at hand, as hosts with
   * several networks do. It may name an address that is not its own, then, whose owner gets our packets.
   * Default: false, such connections stay on TCP.
   */
  readonly allowOtherAddress?: boolean;
}

const RING_SIZE = 128 << 10;
const RING_SIZES = Array.from({ length: 6 }, (_, exponent) => 16384 << exponent);
/** Queue pairs 0 and 1 are for management. */
const FIRST_QUEUE_PAIR = 2;

/**
 * SMC-R from this process: one address, the links from there to other hosts, and their connections. The
 * peer is another one, or Linux's own SMC over a RoCE adapter or over soft-RoCE.
 *
 * @example
 * await using endpoint = await SmcREndpoint.open({ address: '10.0.0.1', eids: ['LIZARDS'] });
 * const { transport, socket } = await endpoint.connectOver(net.connect(7000, '10.0.0.2'));
 */
export class SmcREndpoint implements AsyncDisposable {
  readonly identity: Identity;
  readonly eids: readonly string[];
  readonly ringSize: number;
  readonly #allowsOther: boolean;
  readonly #port: RocePort;
  /** By the number of their queue pair, with the address of the peer. */
  readonly #links = new Map<number, { readonly link: Link; readonly address: string }>();
  readonly #turns = new Map<string, Promise<unknown>>();

  /**
   * Takes UDP port 4791 of an address.
   *
   * @throws SmcError `SMC_NO_ROCE`; HostError `HOST_NO_NATIVE`
   */
  static async open(options: SmcROptions): Promise<SmcREndpoint> {
    const identity = identityOf(options.address);
    if (identity === undefined) {
      throw new SmcError('SMC_NO_ROCE', `Cannot use RoCE: ${options.address} is not of this host`);
    }
    return new SmcREndpoint(await UdpPort.open(options.address), identity, options);
  }

  constructor(port: RocePort, identity: Identity, options: SmcROptions) {
    const { eids, ringSize = RING_SIZE, allowOtherAddress = false } = options;
    if (
      eids.length < 1 ||
      eids.length > 8 ||
      !eids.every((eid) => /^[A-Z0-9.-]{1,32}$/.test(eid))
    ) {
      throw new SmcError('SMC_NO_ROCE', `Cannot use the EIDs ${eids.join(', ')}`, {
        hint: 'Give one to eight, of capital letters, digits, dots and hyphens; 32 characters at most.',
      });
    }
    if (!RING_SIZES.includes(ringSize)) {
      throw new SmcError('SMC_NO_ROCE', `Cannot use rings of ${ringSize} bytes`, {
        hint: `Sizes are ${RING_SIZES.join(', ')}.`,
      });
    }
    this.identity = identity;
    this.eids = eids;
    this.ringSize = ringSize;
    this.#allowsOther = allowOtherAddress;
    this.#port = port;
    port.onPacket = (packet, from) => this.#receive(packet, from);
  }

  /**
   * Agrees with the server at the other end of a TCP connection, which has to be new, and the server
   * one that is known to speak SMC: others would take what is sent for the program's.
   *
   * @throws SmcError where neither SMC nor TCP is left
   */
  connectOver(tcp: Socket): Promise<Outcome> {
    return orDestroy(tcp, connectOver(tcp, this));
  }

  /** The same at the server's end. */
  acceptOver(tcp: Socket): Promise<Outcome> {
    return orDestroy(tcp, acceptOver(tcp, this));
  }

  /** Whether to believe the peer of a TCP connection that RoCE reaches it at an address. */
  believes({ remoteAddress }: Socket, address: string): boolean {
    return this.#allowsOther || remoteAddress?.replace(/^::ffff:/, '') === address;
  }

  /** Begins a link; with {@link findLink} and {@link endLinks} for the handshakes. */
  createLink(role: Link['role'], address: string): Link {
    let queuePair: number;
    do queuePair = randomInt(FIRST_QUEUE_PAIR, 2 ** 24);
    while (this.#links.has(queuePair));
    const link = new Link({
      role,
      identity: this.identity,
      queuePair,
      transmit: (packet) => this.#port.send(packet, address),
      onClose: () => this.#links.delete(queuePair),
    });
    this.#links.set(queuePair, { link, address });
    return link;
  }

  /** A link that is confirmed and has room. */
  findLink(role: Link['role'], address: string, peerQueuePair?: number): Link | undefined {
    for (const { link, address: other } of this.#links.values()) {
      const isSame = peerQueuePair === undefined || link.peerQueuePair === peerQueuePair;
      if (link.role === role && other === address && link.hasRoom && isSame) return link;
    }
    return undefined;
  }

  /** Links that there are. */
  get links(): readonly { readonly link: Link; readonly address: string }[] {
    return [...this.#links.values()];
  }

  /** The peer says that it knows nothing of them. */
  endLinks(role: Link['role'], address: string | undefined): void {
    for (const { link, address: other } of [...this.#links.values()]) {
      const isIt = link.role === role && other === address;
      if (isIt)
        link.end(new SmcError('SMC_LINK_LOST', 'Cannot go on with a link: the peer has lost it'));
    }
  }

  /** Runs handshakes with one peer one after another. */
  async inTurn<T>(address: string, action: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(address) ?? Promise.resolve();
    const mine = before.then(action);
    const settled = mine.catch(() => {});
    this.#turns.set(address, settled);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(address) === settled) this.#turns.delete(address);
    }
  }

  #receive(packet: Uint8Array, from: string): void {
    let roce: ReturnType<typeof parseRoce>;
    try {
      roce = parseRoce(packet);
    } catch {
      // Of what is no packet of ours nobody wants to hear.
      return;
    }
    const found = this.#links.get(roce.queuePair);
    if (found?.address === from) found.link.queuePair.receive(roce);
  }

  /** Ends all links in order, and gives the port back. Connections that are there end with an error. */
  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].map(({ link }) => link.close()));
    await this.#port.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function orDestroy(tcp: Socket, outcome: Promise<Outcome>): Promise<Outcome> {
  const ignore = () => {};
  tcp.on('error', ignore);
  try {
    return await outcome;
  } catch (error) {
    tcp.destroy();
    throw error;
  } finally {
    if (!tcp.destroyed) tcp.off('error', ignore);
  }
}
