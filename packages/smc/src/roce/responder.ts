import { LLC_MAX_BYTES } from '../layout/llc.ts';
import { Opcode } from '../layout/roce.ts';
import type { MemoryRegions } from './memory-regions.ts';
import type { RocePacket } from './packet.ts';
import { sequenceAfter, stepsBetween } from './sequence.ts';

/** Upper bits of an acknowledgement's syndrome. Source: InfiniBand Architecture Specification 1.4, 9.7.5.2. */
export const Syndrome = {
  /** With no count of credits. */
  acknowledge: 0x1f,
  /** With a code of the time to wait in the lower five bits. */
  receiverNotReady: 0x20,
  sequenceError: 0x60,
  invalidRequest: 0x61,
  accessError: 0x62,
} as const;

type Kind = 'send' | 'write';

/** What a packet is within its message. */
interface Part {
  readonly kind: Kind;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

const parts: ReadonlyMap<number, Part> = new Map([
  [Opcode.sendFirst, { kind: 'send', isFirst: true, isLast: false }],
  [Opcode.sendMiddle, { kind: 'send', isFirst: false, isLast: false }],
  [Opcode.sendLast, { kind: 'send', isFirst: false, isLast: true }],
  [Opcode.sendOnly, { kind: 'send', isFirst: true, isLast: true }],
  [Opcode.writeFirst, { kind: 'write', isFirst: true, isLast: false }],
  [Opcode.writeMiddle, { kind: 'write', isFirst: false, isLast: false }],
  [Opcode.writeLast, { kind: 'write', isFirst: false, isLast: true }],
  [Opcode.writeOnly, { kind: 'write', isFirst: true, isLast: true }],
]);

/** What the peer is told, and what it did. */
type Refusal = readonly [syndrome: number, what: string];

/** A message of which the beginning has come. */
interface Begun {
  readonly kind: Kind;
  /** Where its bytes go. */
  readonly target: Uint8Array;
  filled: number;
}

export interface ResponderOptions {
  /** Of the first packet that the peer sends. */
  readonly firstSequence: number;
  /** Bytes of each packet but the last of a message. */
  readonly mtu: number;
  readonly memory: MemoryRegions;
  acknowledge(sequence: number, syndrome: number, count: number): void;
  /** @param bytes are the receiver's */
  onMessage(bytes: Uint8Array): void;
  /** The peer has broken the rules; nothing is taken any more. */
  onViolation(what: string): void;
}

/**
 * The receiving half of a queue pair: takes packets in order, puts what is written where it belongs,
 * and acknowledges. Source: InfiniBand Architecture Specification 1.4, 9.7.4 and 9.7.5.
 */
export class Responder {
  readonly #options: ResponderOptions;
  #expected: number;
  /** Messages that are complete, 24 bits. */
  #completed = 0;
  #begun: Begun | undefined;
  /** Whether the peer has been told of the gap that it has to fill. */
  #toldGap = false;
  #isBroken = false;

  constructor(options: ResponderOptions) {
    this.#options = options;
    this.#expected = options.firstSequence;
  }

  receive(packet: RocePacket): void {
    if (this.#isBroken) return;
    const ahead = stepsBetween(packet.sequence, this.#expected);
    if (ahead > 0) this.#reportGap();
    else if (ahead === 0) this.#take(packet);
    // What has come before: its acknowledgement was lost.
    else this.#acknowledge(Syndrome.acknowledge, sequenceAfter(this.#expected, -1));
  }

  #take(packet: RocePacket): void {
    this.#toldGap = false;
    const part = parts.get(packet.opcode)!;
    const refusal =
      (part.isFirst ? this.#begin(part, packet) : this.#goOn(part)) ?? this.#fill(part, packet);
    if (refusal !== undefined) {
      this.#refuse(...refusal);
      return;
    }
    this.#expected = sequenceAfter(this.#expected);
    if (part.isLast) this.#complete(this.#begun!);
    if (packet.wantsAcknowledge) this.#acknowledge(Syndrome.acknowledge, packet.sequence);
  }

  #fill(part: Part, { payload }: RocePacket): Refusal | undefined {
    const message = this.#begun!;
    const fits = message.filled + payload.length <= message.target.length;
    if (!fits || !this.#isWhole(part, message, payload.length)) {
      return [Syndrome.invalidRequest, `a packet of ${payload.length} bytes`];
    }
    message.target.set(payload, message.filled);
    message.filled += payload.length;
    return undefined;
  }

  /** Only the last packet may be shorter than the path's, and a write has the length that it said. */
  #isWhole({ kind, isFirst, isLast }: Part, { target, filled }: Begun, length: number): boolean {
    const { mtu } = this.#options;
    if (!isLast) return length === mtu;
    if (length > mtu || (length === 0 && !isFirst)) return false;
    return kind === 'send' || filled + length === target.length;
  }

  #begin({ kind, isLast }: Part, { write, payload }: RocePacket): Refusal | undefined {
    if (this.#begun !== undefined) return [Syndrome.invalidRequest, 'a message within another'];
    if (kind === 'send') {
      const target = new Uint8Array(isLast ? payload.length : LLC_MAX_BYTES);
      this.#begun = { kind, target, filled: 0 };
      return undefined;
    }
    const { rkey, address, length } = write!;
    const target = this.#options.memory.find(rkey, address, length);
    if (target === undefined) {
      return [Syndrome.accessError, `${length} bytes for key ${rkey} at 0x${address.toString(16)}`];
    }
    this.#begun = { kind, target, filled: 0 };
    return undefined;
  }

  #goOn({ kind }: Part): Refusal | undefined {
    if (this.#begun?.kind === kind) return undefined;
    return [Syndrome.invalidRequest, 'the rest of a message that has not begun'];
  }

  #complete({ kind, target, filled }: Begun): void {
    this.#begun = undefined;
    this.#completed = sequenceAfter(this.#completed);
    if (kind === 'send') this.#options.onMessage(target.subarray(0, filled));
  }

  #reportGap(): void {
    if (this.#toldGap) return;
    this.#toldGap = true;
    this.#acknowledge(Syndrome.sequenceError, this.#expected);
  }

  #refuse(syndrome: number, what: string): void {
    this.#isBroken = true;
    this.#acknowledge(syndrome, this.#expected);
    this.#options.onViolation(what);
  }

  #acknowledge(syndrome: number, sequence: number): void {
    this.#options.acknowledge(sequence, syndrome, this.#completed);
  }
}
