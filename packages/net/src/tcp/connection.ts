import { ACK, FIN, PSH, RST, SYN } from '../layout/tcp.ts';
import type { ConnectFailure, OutsideStream, StreamEvents } from '../outside.ts';
import { Receiver, windowScale } from './receiver.ts';
import { advance, distance, type Segment, type SynOptions } from './segment.ts';
import { SendBuffer } from './send-buffer.ts';
import type { ConnectionLayer, ConnectionRecord, Ends } from './types.ts';

type State =
  /** The guest's SYN waits for the host's connection. */
  | 'connecting'
  /** Our SYN waits for the guest's acknowledgment. */
  | 'opening'
  | 'open'
  /** Both sides have ended; the guest's last FIN may come again. */
  | 'lingering'
  | 'closed';

const defaultMss = 536; // RFC 9293, 3.7.1
const leastMss = 88;
const firstTimeout = 1000; // ms
const longestTimeout = 30_000; // ms
const maxTimeouts = 8;
const lingerTime = 1000; // ms
/** Silence after which the guest is asked whether it still knows the connection. */
const keepAliveTime = 7200_000; // ms
const duplicatesForLoss = 3; // RFC 5681, 3.2

/**
 * A TCP connection (RFC 9293) between the guest and a stream of the host: this side stands for the
 * remote end. It takes only what the host can take, and holds of the host's bytes no more than the
 * layer allows. The way to the guest loses nothing and keeps the order, so segments ahead of others
 * are dropped, and what was lost is sent again from its first byte.
 */
export class Connection implements StreamEvents {
  readonly ends: Ends;
  state: State;
  /** When {@link expire} is to be called, in ms. */
  deadline = Number.POSITIVE_INFINITY;
  stream!: OutsideStream;
  readonly #layer: ConnectionLayer;
  readonly #buffer = new SendBuffer();
  #paused = false;
  /** Numbers of our first unacknowledged byte, of the next to be sent, and behind all that was sent. */
  #unacknowledged: number;
  #next: number;
  #highest: number;
  #guestWindow = 0;
  #guestScale = 0;
  #mss = defaultMss;
  readonly #receiver = new Receiver();
  /** The host will send no more: FIN follows the buffer. */
  #hostEnded = false;
  #acknowledge = false;
  #duplicates = 0;
  #timeouts = 0;
  /** The deadline is for a loss, not for silence. */
  #awaiting = false;
  #blocked = false;
  #synWaits = false;
  #finSent = false;

  /** @param initialSequence of our side, by chance */
  constructor(layer: ConnectionLayer, ends: Ends, initialSequence: number, syn?: Segment) {
    this.#layer = layer;
    this.ends = ends;
    this.#unacknowledged = initialSequence;
    this.#next = initialSequence;
    this.#highest = initialSequence;
    this.state = syn === undefined ? 'opening' : 'connecting';
    if (syn !== undefined) this.#learn(syn);
  }

  /** Opens towards the guest: of a connection to a published port. */
  open(): void {
    this.#sendSyn();
  }

  /** Undefined where the guest knows of none. */
  get record(): ConnectionRecord | undefined {
    if (this.state !== 'open') return undefined;
    return { ...this.ends, sequence: this.#next, acknowledgment: this.#receiver.expected };
  }

  // What the host's stream tells.

  connected(): void {
    if (this.state !== 'connecting') return;
    this.state = 'opening';
    this.#sendSyn();
  }

  failed(reason: ConnectFailure): void {
    if (this.state !== 'connecting') return;
    if (reason === 'refused') this.#sendReset();
    else this.#layer.unreachable(this, advance(this.#receiver.expected, -1));
    this.#remove();
  }

  data(bytes: Uint8Array): void {
    if (this.state === 'closed') return;
    this.#buffer.push(bytes);
    if (!this.#paused && this.#buffer.length > this.#layer.bufferLimit()) {
      this.#paused = true;
      this.stream.pause();
    }
    this.#layer.dirty(this);
  }

  ended(): void {
    if (this.#hostEnded) return;
    this.#hostEnded = true;
    this.#layer.dirty(this);
  }

  drained(): void {
    const receiver = this.#receiver;
    if (receiver.hasEnded) this.#layer.dirty(this); // it may be all
    if (this.state !== 'open' || receiver.hasEnded) return;
    const opened = receiver.gain(this.#window());
    const stopped = receiver.room < 2 * this.#mss;
    if (opened < (stopped ? 2 * this.#mss : this.#layer.bufferLimit() / 2)) return;
    this.#acknowledge = true;
    this.#layer.dirty(this);
  }

  reset(): void {
    this.#sendReset();
    this.#remove();
  }

  // What the guest sends.

  /** @returns whether the data's memory is kept */
  receive(segment: Segment): boolean {
    if (this.state === 'connecting' || this.state === 'closed') {
      if (segment.flags & RST) this.abandon();
      return false;
    }
    if (segment.flags & RST) {
      const { isSynchronized } = this.#receiver;
      if (!isSynchronized || this.#receiver.isInWindow(segment.sequence)) this.abandon();
      return false;
    }
    if (segment.flags & SYN) this.#synAgain(segment);
    else if (segment.flags & ACK) return this.#accept(segment);
    return false;
  }

  /** Sends what can be sent. Called at the end of each turn in which something changed. */
  flush(): void {
    if (this.state === 'closed' || this.state === 'connecting') return;
    this.#blocked = false;
    if (this.state === 'opening') {
      if (this.#synWaits) this.#sendSyn();
      return;
    }
    this.#sendData();
    if (this.#acknowledge && !this.#blocked) this.#send(this.#next, ACK, []);
    this.#arm();
  }

  /** The deadline has passed. */
  expire(): void {
    this.deadline = Number.POSITIVE_INFINITY;
    if (this.state === 'lingering') {
      this.#remove();
      return;
    }
    if (++this.#timeouts > maxTimeouts) {
      this.reset();
      this.stream.close(true);
      return;
    }
    if (this.state === 'opening') this.#sendSyn();
    else if (!this.#awaiting) this.#probe();
    else {
      this.#next = this.#unacknowledged;
      if (this.#guestWindow === 0) this.#probe();
      else this.#sendData();
      this.#arm();
    }
  }

  /** Closes both sides without a word to the guest: it reset the connection, or there is another one. */
  abandon(): void {
    if (this.state === 'closed') return;
    this.#remove();
    this.stream.close(true);
  }

  /** Ends both sides at once. */
  abort(): void {
    if (this.state === 'closed') return;
    this.#sendReset();
    this.abandon();
  }

  #learn(syn: Segment): void {
    const { window, options } = syn;
    this.#receiver.synchronize(syn);
    this.#guestWindow = window; // of a SYN: never scaled
    this.#guestScale = options.windowScale ?? 0;
    const mss = options.mss ?? defaultMss;
    this.#mss = Math.min(Math.max(leastMss, mss), this.#layer.mss);
  }

  #synAgain(segment: Segment): void {
    const { flags, acknowledgment } = segment;
    if (this.state !== 'opening') {
      this.#acknowledge = true; // RFC 5961, 4.2
      this.#layer.dirty(this);
    } else if (flags & ACK) {
      if (distance(this.#unacknowledged, acknowledgment) !== 1) return;
      this.#learn(segment);
      this.#acknowledge = true;
      this.#opened(acknowledgment);
    } else this.#sendSyn();
  }

  #opened(acknowledgment: number): void {
    this.#unacknowledged = acknowledgment;
    this.#next = acknowledgment;
    this.#highest = acknowledgment;
    this.#timeouts = 0;
    this.state = 'open';
    this.#layer.dirty(this);
  }

  #accept(segment: Segment): boolean {
    const { acknowledgment, sequence, flags, data } = segment;
    const window = segment.window << this.#guestScale;
    if (this.state === 'opening') {
      const isOurs = distance(this.#unacknowledged, acknowledgment) === 1;
      if (!isOurs || !this.#receiver.isSynchronized) return false;
      this.#guestWindow = window;
      this.#opened(acknowledgment);
    } else this.#acknowledged(acknowledgment, window, data.length === 0);
    if (this.state === 'closed') return false;
    const past = distance(sequence, this.#receiver.expected);
    const ends = (flags & FIN) !== 0;
    let kept = false;
    if (data.length > 0 || ends) {
      kept = this.#receiver.take(data, past, ends, this.stream);
      this.#acknowledge = true;
    }
    // A probe for the window, or whether we are there.
    else if (past !== 0) this.#acknowledge = true;
    this.#layer.dirty(this, this.#isUrgent);
    return kept;
  }

  /** Whether the guest should hear of us at once: it has something to get, or waits for a window. */
  get #isUrgent(): boolean {
    const waiting = this.#buffer.length > distance(this.#unacknowledged, this.#next);
    return waiting || this.#receiver.isUrgent;
  }

  #acknowledged(acknowledgment: number, window: number, empty: boolean): void {
    const newly = distance(this.#unacknowledged, acknowledgment);
    if (newly < 0 || distance(this.#highest, acknowledgment) > 0) {
      if (newly > 0) this.#acknowledge = true; // of what was never sent
      return;
    }
    const outstanding = this.#unacknowledged !== this.#highest;
    if (newly === 0 && empty && outstanding && window === this.#guestWindow) {
      this.#timeouts = 0;
      if (++this.#duplicates === duplicatesForLoss) this.#next = this.#unacknowledged;
      return;
    }
    this.#guestWindow = window;
    this.#timeouts = 0;
    if (newly === 0) return;
    this.#duplicates = 0;
    this.deadline = Number.POSITIVE_INFINITY;
    this.#buffer.drop(Math.min(newly, this.#buffer.length));
    this.#unacknowledged = acknowledgment;
    if (distance(this.#next, acknowledgment) > 0) this.#next = acknowledgment;
    if (this.#paused && this.#buffer.length < this.#layer.bufferLimit() / 2) {
      this.#paused = false;
      this.stream.resume();
    }
  }

  /** Whether FIN was acknowledged: the buffer does not count it. */
  get #finished(): boolean {
    return (
      this.#hostEnded &&
      this.#buffer.length === 0 &&
      this.#finSent &&
      this.#unacknowledged === this.#highest
    );
  }

  #sendData(): void {
    if (this.#finished) return;
    const largest = this.#layer.largest(this.#mss);
    for (;;) {
      const sent = distance(this.#unacknowledged, this.#next);
      const waiting = this.#buffer.length - sent;
      const room = this.#guestWindow - sent;
      const length = Math.min(waiting, room, largest);
      const last = this.#hostEnded && length >= waiting;
      if (length <= 0 && !(last && waiting === 0 && room >= 0)) return;
      // Rather wait for a window of some size than part what is to be sent into crumbs.
      if (length < waiting && length < this.#mss && sent > 0) return;
      const flags = ACK | (length === waiting ? PSH : 0) | (last ? FIN : 0);
      if (!this.#send(this.#next, flags, this.#buffer.slices(sent, Math.max(0, length)))) return;
      this.#next = advance(this.#next, Math.max(0, length) + (last ? 1 : 0));
      if (distance(this.#highest, this.#next) > 0) this.#highest = this.#next;
      this.#finSent ||= last;
      if (last) return;
    }
  }

  #send(
    sequence: number,
    flags: number,
    data: readonly Uint8Array[],
    options?: SynOptions,
  ): boolean {
    const window = this.#window();
    const isSyn = (flags & SYN) !== 0;
    const sent = this.#layer.transmit(this, {
      sequence,
      acknowledgment: flags & ACK ? this.#receiver.expected : 0,
      flags,
      window: this.#receiver.field(window, isSyn),
      data,
      mss: this.#mss,
      ...(options && { options }),
    });
    if (!sent) {
      this.#blocked = true;
      return false;
    }
    this.#acknowledge = false;
    if (flags & ACK) this.#receiver.told(window, isSyn);
    return true;
  }

  #window(): number {
    return this.#receiver.window(this.#layer.bufferLimit() - this.stream.waiting);
  }

  #sendSyn(): void {
    const active = !this.#receiver.isSynchronized;
    const scale = active || this.#receiver.isScaled ? { windowScale } : {};
    const flags = active ? SYN : SYN | ACK;
    this.#synWaits = !this.#send(this.#unacknowledged, flags, [], {
      mss: this.#layer.mss,
      ...scale,
    });
    this.#next = advance(this.#unacknowledged, 1);
    this.#highest = this.#next;
    this.#setDeadline(firstTimeout * 2 ** Math.min(this.#timeouts, 5));
  }

  #sendReset(): void {
    if (this.state === 'lingering' || this.state === 'closed') return;
    this.#send(this.#next, RST | ACK, []);
  }

  /** Sends a byte that the guest has already: it answers with what it expects, and its window. */
  #probe(): void {
    this.#send(advance(this.#unacknowledged, -1), ACK, []);
    this.#setDeadline(this.#timeout());
  }

  #arm(): void {
    const silent = this.#unacknowledged === this.#highest && this.#buffer.length === 0;
    const begins = !this.#awaiting || this.deadline === Number.POSITIVE_INFINITY;
    this.#awaiting = !silent;
    if (!silent) {
      if (begins) this.#setDeadline(this.#timeout());
    } else if (this.#finished && this.#receiver.hasEnded && this.stream.waiting === 0)
      this.#linger();
    else this.#setDeadline(keepAliveTime);
  }

  #timeout(): number {
    return Math.min(firstTimeout * 2 ** this.#timeouts, longestTimeout);
  }

  #linger(): void {
    if (this.state === 'lingering') return;
    this.state = 'lingering';
    this.stream.close(false);
    this.#setDeadline(lingerTime);
  }

  #setDeadline(after: number): void {
    this.deadline = this.#layer.now() + after;
    this.#layer.armed(this);
  }

  #remove(): void {
    this.state = 'closed';
    this.deadline = Number.POSITIVE_INFINITY;
    this.#buffer.clear();
    this.#layer.removed(this);
  }
}
