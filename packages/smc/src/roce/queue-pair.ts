import { SmcError } from '../errors.ts';
import { Opcode } from '../layout/roce.ts';
import type { MemoryRegions } from './memory-regions.ts';
import { type RocePacket, writeRoce } from './packet.ts';
import { Requester, type WorkRequest } from './requester.ts';
import { Responder } from './responder.ts';

export interface QueuePairOptions {
  /** What the peer's packets name, 24 bits. */
  readonly number: number;
  /** Of the first packet sent, 24 bits, random. */
  readonly firstSequence: number;
  /** What the peer may write. */
  readonly memory: MemoryRegions;
  /** Sends to the peer's port; may lose, double and reorder. */
  transmit(packet: Uint8Array): void;
  /** @param bytes are the receiver's */
  onMessage(bytes: Uint8Array): void;
  /** The connection of both queue pairs has ended; `SMC_LINK_LOST` or `SMC_BAD_PEER`. */
  onFailure(error: SmcError): void;
}

export interface QueuePairPeer {
  readonly queuePair: number;
  readonly firstSequence: number;
  /** Bytes of a packet's payload: 256 to 4096. */
  readonly mtu: number;
}

/**
 * A reliable connection of RoCE: messages and writes arrive once and in order, over a port of which
 * nothing is asked. The other end is another one, or a RoCE adapter.
 */
export class QueuePair {
  readonly number: number;
  readonly firstSequence: number;
  readonly #options: QueuePairOptions;
  #requester: Requester | undefined;
  #responder: Responder | undefined;
  #isClosed = false;

  constructor(options: QueuePairOptions) {
    this.#options = options;
    this.number = options.number;
    this.firstSequence = options.firstSequence;
  }

  /** From here on it takes and sends; what came before is as if lost. */
  connect({ queuePair, firstSequence, mtu }: QueuePairPeer): void {
    const { memory } = this.#options;
    const transmit = (packet: Uint8Array) => this.#options.transmit(packet);
    this.#requester = new Requester({
      queuePair,
      firstSequence: this.firstSequence,
      mtu,
      transmit,
      onFailure: (why) =>
        this.#fail(new SmcError('SMC_LINK_LOST', `Cannot go on with a link: ${why}`)),
    });
    this.#responder = new Responder({
      firstSequence,
      mtu,
      memory,
      acknowledge: (sequence, syndrome, count) =>
        transmit(
          writeRoce({
            opcode: Opcode.acknowledge,
            queuePair,
            sequence,
            wantsAcknowledge: false,
            acknowledge: { syndrome, count },
            payload: new Uint8Array(),
          }),
        ),
      onMessage: (bytes) => this.#options.onMessage(bytes),
      onViolation: (what) =>
        this.#fail(new SmcError('SMC_BAD_PEER', `Cannot go on with a link: the peer sent ${what}`)),
    });
  }

  get isConnected(): boolean {
    return this.#requester !== undefined && !this.#isClosed;
  }

  /** Whether something that was posted is not acknowledged yet. */
  get isBusy(): boolean {
    return this.#requester?.isBusy ?? false;
  }

  /** Sends a message or writes, after all that was posted before. */
  post(request: WorkRequest): void {
    if (this.isConnected) this.#requester!.post(request);
  }

  /** A packet that came for it. */
  receive(packet: RocePacket): void {
    if (!this.isConnected) return;
    if (packet.opcode === Opcode.acknowledge) this.#requester!.receive(packet);
    else this.#responder!.receive(packet);
  }

  close(): void {
    this.#isClosed = true;
    this.#requester?.close();
  }

  #fail(error: SmcError): void {
    if (this.#isClosed) return;
    this.close();
    this.#options.onFailure(error);
  }
}
