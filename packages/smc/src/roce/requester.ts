import { Opcode } from '../layout/roce.ts';
import { type RocePacket, writeRoce } from './packet.ts';
import { Syndrome } from './responder.ts';
import { sequenceAfter, stepsBetween } from './sequence.ts';

/** A message to send, or bytes to write into the peer's memory; what Linux calls a work request. */
export interface WorkRequest {
  /** Must not change until it is acknowledged. */
  readonly payload: Uint8Array;
  /** Where it is to be written; a message where there is none. */
  readonly write?: { readonly rkey: number; readonly address: bigint };
  /** The peer has all of it. */
  onDone?(): void;
}

export interface RequesterOptions {
  /** Of the peer. */
  readonly queuePair: number;
  readonly firstSequence: number;
  readonly mtu: number;
  transmit(packet: Uint8Array): void;
  onFailure(why: string): void;
}

/** As Linux sets its own ends up: 4.096 us << 15, seven times. Source: net/smc/smc_ib.h. */
const TIMEOUT = 134;
const RETRIES = 7;
/** Packets that are not acknowledged, at most: 64 KiB on the usual path. */
const WINDOW = 64;
/** How often at least an acknowledgement is asked for, so that the window opens before it is used up. */
const ASK_EVERY = WINDOW / 4;

interface Flying {
  readonly sequence: number;
  readonly packet: Uint8Array;
  readonly onDone?: (() => void) | undefined;
}

/** Codes of the time to wait, in units of 10 us. Source: InfiniBand Architecture Specification 1.4, table 45. */
const notReadyTimes = [
  65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536,
  2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
];

const opcodes = {
  send: [Opcode.sendMiddle, Opcode.sendFirst, Opcode.sendLast, Opcode.sendOnly],
  write: [Opcode.writeMiddle, Opcode.writeFirst, Opcode.writeLast, Opcode.writeOnly],
} as const;

/**
 * The sending half of a queue pair: cuts requests into packets and sends them again until they are
 * acknowledged. Source: InfiniBand Architecture Specification 1.4, 9.7.2 to 9.7.5.
 */
export class Requester {
  readonly #options: RequesterOptions;
  readonly #waiting: WorkRequest[] = [];
  /** Bytes of the first of `#waiting` that are in packets already. */
  #cut = 0;
  readonly #flying: Flying[] = [];
  #next: number;
  #sinceAsked = 0;
  #retries = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The peer has no place for what is sent: nothing goes until the timer. */
  #isHeld = false;
  #isClosed = false;

  constructor(options: RequesterOptions) {
    this.#options = options;
    this.#next = options.firstSequence;
  }

  post(request: WorkRequest): void {
    if (this.#isClosed) return;
    this.#waiting.push(request);
    this.#fill();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
    this.#flying.length = 0;
  }

  /** Whether something is not acknowledged yet. */
  get isBusy(): boolean {
    return this.#waiting.length > 0 || this.#flying.length > 0;
  }

  /** An acknowledgement, or its contrary. */
  receive({ sequence, acknowledge }: RocePacket): void {
    const { syndrome } = acknowledge!;
    const isPositive = syndrome < Syndrome.receiverNotReady;
    // One that was under way for long says nothing new, and one of the future is none.
    const first = this.#flying[0]?.sequence;
    if (first === undefined || stepsBetween(sequence, first) < 0) return;
    if (stepsBetween(sequence, this.#next) >= 0) return;
    // What is refused is the first that the peer does not have.
    const progress = this.#drop(isPositive ? sequence : sequenceAfter(sequence, -1));
    if (progress) this.#retries = 0;
    if (isPositive) {
      if (progress) this.#startTimer();
    } else if (syndrome < Syndrome.sequenceError) this.#hold(notReadyTimes[syndrome & 31]! / 100);
    else if (syndrome === Syndrome.sequenceError) this.#again();
    else this.#options.onFailure(`the peer refuses what it is sent (${syndrome.toString(16)})`);
    this.#fill();
  }

  /** Forgets all that has come until there; whether that is something. */
  #drop(sequence: number): boolean {
    let count = 0;
    while (
      count < this.#flying.length &&
      stepsBetween(this.#flying[count]!.sequence, sequence) <= 0
    )
      count++;
    const done = this.#flying.splice(0, count);
    for (const { onDone } of done) onDone?.();
    return count > 0;
  }

  #fill(): void {
    while (!this.#isHeld && this.#flying.length < WINDOW && this.#waiting.length > 0) {
      const packet = this.#cutPacket(this.#waiting[0]!);
      this.#flying.push(packet);
      this.#options.transmit(packet.packet);
      if (this.#timer === undefined) this.#startTimer();
    }
  }

  #cutPacket(request: WorkRequest): Flying {
    const { queuePair, mtu } = this.#options;
    const { payload, write, onDone } = request;
    const start = this.#cut;
    const end = Math.min(start + mtu, payload.length);
    const [isFirst, isLast] = [start === 0, end === payload.length];
    const opcode = opcodes[write ? 'write' : 'send'][(isFirst ? 1 : 0) + (isLast ? 2 : 0)]!;
    const asks = isLast || ++this.#sinceAsked >= ASK_EVERY;
    if (asks) this.#sinceAsked = 0;
    const packet = writeRoce({
      opcode,
      queuePair,
      sequence: this.#next,
      wantsAcknowledge: asks,
      ...(write && isFirst && { write: { ...write, length: payload.length } }),
      payload: payload.subarray(start, end),
    });
    const sequence = this.#next;
    this.#next = sequenceAfter(sequence);
    this.#cut = isLast ? 0 : end;
    if (isLast) this.#waiting.shift();
    return { sequence, packet, onDone: isLast ? onDone?.bind(request) : undefined };
  }

  #startTimer(wait = TIMEOUT): void {
    clearTimeout(this.#timer);
    const isIdle = this.#flying.length === 0;
    if (isIdle) this.#isHeld = false;
    this.#timer = isIdle ? undefined : setTimeout(() => this.#late(), wait);
  }

  #late(): void {
    this.#timer = undefined;
    if (this.#isHeld) {
      this.#isHeld = false;
      this.#send();
    } else this.#again();
    this.#fill();
  }

  /** As often as Linux has it, without a limit: the peer lives. */
  #hold(wait: number): void {
    this.#isHeld = true;
    this.#startTimer(wait);
  }

  #again(): void {
    if (++this.#retries > RETRIES) this.#options.onFailure('the peer does not answer');
    else this.#send();
  }

  #send(): void {
    for (const { packet } of this.#flying) this.#options.transmit(packet);
    this.#startTimer();
  }
}
