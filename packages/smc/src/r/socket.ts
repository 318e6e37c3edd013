import { Duplex } from 'node:stream';
import { type CdcMessage, writeCdc } from '../cdc/message.ts';
import { SmcError } from '../errors.ts';
import type { ConnectionFlag, ProducerFlag } from '../layout/cdc.ts';
import type { Link } from './link.ts';
import { ReceiveRing } from './receive-ring.ts';
import { type PeerElement, SendRing } from './send-ring.ts';

type Done = (error?: Error | null) => void;

/** Bytes that the program writes, as far as they have found a place. */
interface Write {
  readonly bytes: Uint8Array;
  readonly isUrgent: boolean;
  done: number;
  readonly callback: Done;
}

/** The peer is told of what was read when this part of the ring is free and it does not know. */
const TELL_AT = 1 / 4;

/**
 * A connection over SMC-R. It ends as a TCP connection does: `end` lets the peer read to the end,
 * `destroy` closes, with an error aborts. `urgent` is emitted with the byte that the peer marked, which is
 * in the stream as well.
 */
export class SmcRSocket extends Duplex {
  /** Names this end in the peer's messages. */
  readonly token: number;
  readonly ring: ReceiveRing;
  readonly #link: Link;
  #peer: { readonly token: number; readonly ring: SendRing } | undefined;
  #sequence = 0;
  #write: Write | undefined;
  #isReading = false;
  /** The last message said that the peer's ring is full: it tells at once when it is not. */
  #isBlocked = false;
  /** The same of the peer: it waits to hear what has been read. */
  #isAsked = false;
  #isEnded = false;
  readonly #own = { doneWriting: false, closed: false, abort: false };
  readonly #its = { doneWriting: false, closed: false, abort: false };
  #onClosed: (() => void) | undefined;

  /** @param size of the ring for what comes; bytes, 16 KiB << n */
  constructor(link: Link, token: number, size: number) {
    super({ allowHalfOpen: false });
    this.#link = link;
    this.token = token;
    this.ring = new ReceiveRing(link.memory, size);
  }

  /**
   * The handshake is done: from here on it sends.
   *
   * @throws SmcError `SMC_LINK_LOST` where the peer has broken off, or rules, already
   */
  open(peer: PeerElement): void {
    if (this.destroyed) throw new SmcError('SMC_LINK_LOST', 'Cannot begin: the peer is gone');
    this.#peer = { token: peer.token, ring: new SendRing(peer) };
    if (this.#write !== undefined) this.#pump();
    this.#tellWhereNeeded();
  }

  /** Whether the peer has said that its end is over, or this one is. */
  get isEnding(): boolean {
    const { doneWriting, closed, abort } = this.#its;
    return this.destroyed || doneWriting || closed || abort;
  }

  /** What the peer said in Accept or Confirm made no sense, or never came: nobody is told. */
  abandon(): void {
    this.#its.abort = true;
    this.destroy();
  }

  /** Writes bytes of which the last is urgent. */
  writeUrgent(bytes: Uint8Array): boolean {
    // A stream hands on what it is given, the mark included.
    return this.write(Object.assign(Buffer.from(bytes), { isUrgent: true }));
  }

  override _write(chunk: Buffer & { isUrgent?: boolean }, _encoding: string, callback: Done): void {
    // The chunk is the program's again after the callback, which comes when the peer has it.
    this.#write = { bytes: chunk, isUrgent: chunk.isUrgent === true, done: 0, callback };
    if (this.#peer !== undefined) this.#pump();
  }

  #pump(): void {
    const write = this.#write!;
    const { ring } = this.#peer!;
    if (this.#its.closed) {
      this.#write = undefined;
      write.callback(brokenPipe());
      return;
    }
    const part = write.bytes.subarray(write.done, write.done + ring.free);
    write.done += part.length;
    const isWhole = write.done === write.bytes.length;
    const isNews = part.length > 0 || !this.#isBlocked;
    this.#isBlocked = !isWhole;
    if (isWhole) this.#write = undefined;
    if (!isNews) return;
    for (const request of ring.fill(part)) this.#link.post(request);
    const flags: (keyof typeof ProducerFlag)[] = this.#isBlocked ? ['writeBlocked'] : [];
    if (isWhole && write.isUrgent) flags.push('urgentPending', 'urgentPresent');
    this.#tell(isWhole ? () => write.callback() : undefined, flags);
  }

  override _final(callback: Done): void {
    this.#own.doneWriting = true;
    if (this.#peer === undefined || this.#its.closed) callback();
    else this.#tell(() => callback());
  }

  override _read(): void {
    this.#isReading = true;
    this.#deliver();
  }

  #deliver(): void {
    while (this.#isReading && this.ring.unread > 0) this.#isReading = this.push(this.ring.take());
    this.#tellWhereNeeded();
    const isEnd = this.#its.doneWriting || this.#its.closed;
    if (!isEnd || this.ring.unread > 0 || this.#isEnded) return;
    this.#isEnded = true;
    this.push(null);
  }

  /** A message of the peer. */
  receive({ producer, consumer, producerFlags, connectionFlags }: CdcMessage): void {
    try {
      this.ring.onProduced(producer);
      this.#peer?.ring.onConsumed(consumer);
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    const has = (flag: keyof typeof ConnectionFlag) => connectionFlags.includes(flag);
    this.#its.doneWriting ||= has('doneWriting');
    this.#its.closed ||= has('closed');
    if (has('abort')) {
      this.#its.abort = true;
      this.#fail(reset());
      return;
    }
    if (producerFlags.includes('urgentPresent')) this.emit('urgent', this.ring.last);
    if (this.#write !== undefined && this.#peer !== undefined) this.#pump();
    const asking = ['writeBlocked', 'cursorUpdateRequested'] as const;
    this.#isAsked = asking.some((flag) => producerFlags.includes(flag));
    if (!this.destroyed) this.#deliver();
    if (this.#its.closed) this.#onClosed?.();
  }

  #tellWhereNeeded(): void {
    const { untold, size } = this.ring;
    if (this.#peer === undefined || this.destroyed || untold === 0) return;
    if (!this.#isAsked && untold < size * TELL_AT) return;
    this.#isAsked = false;
    this.#tell();
  }

  #tell(onDone?: () => void, producerFlags: readonly (keyof typeof ProducerFlag)[] = []): void {
    const { token, ring } = this.#peer!;
    const own = this.#own;
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const payload = writeCdc({
      kind: 'cdc',
      sequence: this.#sequence,
      token,
      producer: ring.producer,
      consumer: this.ring.tell(),
      producerFlags,
      connectionFlags: (['doneWriting', 'closed', 'abort'] as const).filter((flag) => own[flag]),
    });
    this.#link.post({ payload, ...(onDone && { onDone }) });
  }

  /** The link is gone, or the peer. Who has sent and got all does not have to hear of it. */
  lose(error: Error): void {
    const isOver = this.writableFinished && this.#its.doneWriting && this.ring.unread === 0;
    this.#its.abort = true;
    if (isOver) this.abandon();
    else this.#fail(error);
  }

  #fail(error: Error): void {
    // Before the program has it nobody listens.
    this.destroy(this.#peer && error);
    this.#onClosed?.();
  }

  override _destroy(error: Error | null, callback: Done): void {
    const write = this.#write;
    this.#write = undefined;
    write?.callback(error ?? brokenPipe());
    this.#own[error === null ? 'closed' : 'abort'] = true;
    if (this.#peer !== undefined && !this.#its.abort) this.#tell();
    // Until the peer has said that it writes no more, the ring has to be there.
    const isOver = this.#its.closed || this.#its.abort || this.#peer === undefined;
    if (isOver) this.#link.release(this);
    else this.#onClosed = () => this.#link.release(this);
    callback(error);
  }
}

function reset(): Error {
  return Object.assign(new Error('The peer has aborted the connection'), { code: 'ECONNRESET' });
}

function brokenPipe(): Error {
  return Object.assign(new Error('The peer has closed the connection'), { code: 'EPIPE' });
}
