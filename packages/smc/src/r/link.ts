import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCdc } from '../cdc/message.ts';
import { SmcError } from '../errors.ts';
import { CDC_TYPE } from '../layout/cdc.ts';
import { LlcFlag } from '../layout/llc.ts';
import type { ConfirmLink, LinkKey } from '../llc/kinds.ts';
import { type LlcMessage, parseLlc } from '../llc/message.ts';
import { MemoryRegions } from '../roce/memory-regions.ts';
import { QueuePair, type QueuePairPeer } from '../roce/queue-pair.ts';
import type { WorkRequest } from '../roce/requester.ts';
import type { Identity } from './identity.ts';
import { LlcExchange } from './llc-exchange.ts';
import { SmcRSocket } from './socket.ts';

/** Most connections of a link, which version 2.1 lets ends agree on. */
export const MAX_CONNECTIONS = 255;
/** What the first link of a group is called by Linux. */
const LINK_NUMBER = 1;
/** A link that says nothing for so long is asked. Linux: net.smcr_testlink_time, 30 s. */
const TEST_AFTER = 30_000;
/** Source: RFC 7609 appendix A.3.4. */
const ENDED_BY_PROGRAM = 0x00030000;
/** How long connections that are ending are waited for, milliseconds. */
const PARTING = 1000;

export interface LinkOptions {
  readonly role: 'client' | 'server';
  readonly identity: Identity;
  readonly queuePair: number;
  transmit(packet: Uint8Array): void;
  /** The link has ended, and all of its connections. */
  onClose(): void;
}

/** A link group of one link, and the connections over it: two hosts have one in each direction. */
export class Link {
  readonly role: 'client' | 'server';
  readonly memory = new MemoryRegions();
  readonly queuePair: QueuePair;
  readonly #options: LinkOptions;
  readonly #uid = randomInt(1, 2 ** 32);
  readonly #connections = new Map<number, SmcRSocket>();
  readonly #llc = new LlcExchange((payload) => this.post({ payload }));
  readonly #confirmed = Promise.withResolvers<void>();
  #isOpen = true;
  #peer: QueuePairPeer | undefined;
  #hasHeard = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.role = options.role;
    this.#confirmed.promise.catch(() => {});
    this.queuePair = new QueuePair({
      number: options.queuePair,
      firstSequence: randomInt(2 ** 24),
      memory: this.memory,
      transmit: options.transmit,
      onMessage: (bytes) => this.#receive(bytes),
      onFailure: (error) => this.end(error),
    });
  }

  /** How many there are, those that end still included. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Whether it goes, and takes one more connection. */
  get hasRoom(): boolean {
    return this.#isOpen && this.#peer !== undefined && this.#connections.size < MAX_CONNECTIONS;
  }

  /** Number of the peer's queue pair, once it is confirmed. */
  get peerQueuePair(): number | undefined {
    return this.#peer?.queuePair;
  }

  /** @throws SmcError `SMC_LINK_LOST` where it has ended, or has as many as it may */
  createSocket(ringSize: number): SmcRSocket {
    const { size } = this.#connections;
    if (!this.#isOpen || size >= MAX_CONNECTIONS) {
      throw new SmcError('SMC_LINK_LOST', `Cannot add a connection to a link of ${size}`);
    }
    let token: number;
    do token = randomInt(1, 2 ** 32);
    while (this.#connections.has(token));
    const socket = new SmcRSocket(this, token, ringSize);
    this.#connections.set(token, socket);
    return socket;
  }

  /** The peer's end is known: the link goes. The server asks whether it does, the client answers. */
  async confirm(peer: QueuePairPeer): Promise<void> {
    this.queuePair.connect(peer);
    if (this.role === 'server') {
      await this.#llc.request(this.#confirmation(), LlcFlag.noEyecatcher);
      this.#confirmed.resolve();
    }
    await this.#confirmed.promise;
    this.#peer = peer;
    this.#timer = setInterval(() => this.#test(), TEST_AFTER).unref();
  }

  #confirmation(): ConfirmLink {
    const { mac, gid } = this.#options.identity;
    return {
      kind: 'confirm-link',
      mac,
      gid,
      queuePair: this.queuePair.number,
      linkNumber: LINK_NUMBER,
      linkUid: this.#uid,
      maxLinks: 1,
      maxConnections: MAX_CONNECTIONS,
    };
  }

  /** Tells the peer of a ring before Accept or Confirm names it; the first one needs no telling. */
  async confirmKey({ ring: { region } }: SmcRSocket): Promise<void> {
    const none: LinkKey = { link: 0, rkey: 0, address: 0n };
    const { rkey, address } = region;
    const keys = [{ link: 0, rkey, address }, none, none];
    const { flags } = await this.#llc.request({ kind: 'confirm-rkey', keys });
    if ((flags & LlcFlag.negative) !== 0) {
      throw new SmcError('SMC_LINK_LOST', 'Cannot add a connection: the peer refuses its ring');
    }
  }

  /** A connection has ended, for both ends. */
  release({ token, ring: { region } }: SmcRSocket): void {
    if (!this.#connections.delete(token)) return;
    this.memory.remove(region);
    if (!this.queuePair.isConnected) return;
    const request = { kind: 'delete-rkey', unknown: 0, rkeys: [region.rkey] } as const;
    this.#llc.request(request).catch((error) => this.end(error));
  }

  post(request: WorkRequest): void {
    this.queuePair.post(request);
  }

  #receive(bytes: Uint8Array): void {
    this.#hasHeard = true;
    try {
      if (bytes[0] === CDC_TYPE) {
        const message = parseCdc(bytes);
        // A connection that has just ended here may be told something still.
        this.#connections.get(message.token)?.receive(message);
      } else this.#control(parseLlc(bytes));
    } catch (error) {
      this.end(error as Error);
    }
  }

  #control(message: LlcMessage): void {
    if (message.isResponse) {
      this.#llc.receive(message);
      return;
    }
    switch (message.kind) {
      case 'confirm-link':
        if (this.role === 'server') break;
        this.#llc.respond(this.#confirmation(), LlcFlag.noEyecatcher);
        this.#confirmed.resolve();
        break;
      case 'test-link':
      case 'confirm-rkey':
        this.#llc.respond(message);
        break;
      case 'delete-rkey':
        // Keys of the peer are kept by their connections only, which end by messages of their own.
        this.#llc.respond({ ...message, rkeys: [0] });
        break;
      case 'add-link':
        // One link is what was agreed on.
        this.#llc.respond(message, LlcFlag.reject);
        break;
      case 'delete-link':
        this.#llc.respond(message, message.flags);
        this.end(new SmcError('SMC_LINK_LOST', 'Cannot go on with a link: the peer has ended it'));
        break;
      default:
    }
  }

  #test(): void {
    if (!this.#hasHeard) this.#llc.test().catch((error) => this.end(error));
    this.#hasHeard = false;
  }

  /**
   * Ends it in order: connections that are ending have a moment for it, the others end with an error,
   * and the peer is told.
   */
  async close(): Promise<void> {
    const isEnding = (socket: SmcRSocket) => socket.isEnding || socket.writableEnded;
    for (let left = PARTING / 10; left > 0 && this.#isOpen; left--) {
      if (![...this.#connections.values()].some(isEnding)) break;
      await sleep(10);
    }
    if (!this.#isOpen) return;
    if (this.queuePair.isConnected) {
      const flags = LlcFlag.negative | LlcFlag.reject;
      const body = { kind: 'delete-link', linkNumber: 0, reason: ENDED_BY_PROGRAM } as const;
      await this.#llc.request(body, flags).catch(() => {});
    }
    this.end(new SmcError('SMC_LINK_LOST', 'The link was closed'));
  }

  /** The link is gone. Connections have `error`. */
  end(error: Error): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearInterval(this.#timer);
    this.#confirmed.reject(error);
    this.#llc.end(error);
    // What is under way, such as the answer to DELETE LINK, has been sent once.
    this.queuePair.close();
    for (const socket of [...this.#connections.values()]) socket.lose(error);
    this.#options.onClose();
  }
}
