import type { Connection } from '../shm/connection.ts';
import type { RingReader } from '../shm/ring-reader.ts';
import { internals, type TcpHandle } from './internals.ts';
import { type PendingWrite, ShmStream, type StreamSink } from './stream.ts';
import { type LegSink, TcpLeg } from './tcp-leg.ts';

/** What becomes of a connection, for whoever counts. */
export interface TransportEvents {
  onLive(): void;
  onTcp(): void;
  /** It was over shared memory, and goes on over TCP. */
  onMoved(): void;
  onClose(): void;
}

/** Where received bytes come out. */
export interface Outlet {
  /** The most bytes that are taken at once. */
  readonly most: number;
  /** Takes `count` bytes off the reader. */
  onBytes(reader: RingReader, count: number): void;
  /** Bytes that came over TCP. */
  onTcpBytes(bytes: Uint8Array): void;
  onUrgent(byte: number): void;
  onEnd(): void;
  onReset(): void;
  /** An error of libuv, of the TCP connection. */
  onError(status: number): void;
}

/** How a write went: all is written, it waits for room, the peer has closed, or this end has. */
export type Sent = 'written' | 'waiting' | 'peer closed' | 'closed';

/**
 * What carries the bytes of one socket: shared memory, beside a TCP connection that shows when the
 * other end is gone; or, where the server turns out not to take part, that TCP connection, with
 * everything that was written before.
 */
export class Transport implements StreamSink, LegSink {
  readonly stream: ShmStream;
  readonly leg: TcpHandle;
  private readonly tcp: TcpLeg;
  private readonly outlet: Outlet;
  private readonly events: TransportEvents;
  private isOverTcp = false;
  private isReading = false;
  private isClosing = false;
  private isLegClosed = false;
  private hasMoved = false;
  private isRef: boolean;

  /** @param leg connected; owned from now on */
  constructor(
    leg: TcpHandle,
    candidates: readonly Connection[],
    outlet: Outlet,
    events: TransportEvents,
  ) {
    this.leg = leg;
    this.outlet = outlet;
    this.events = events;
    this.stream = new ShmStream(candidates, this);
    this.tcp = new TcpLeg(leg, this);
    // The socket may have been told before it was connected.
    this.isRef = leg.hasRef();
    this.updateRef();
  }

  get most(): number {
    return this.outlet.most;
  }

  // What the socket asks.

  setReading(wanted: boolean): void {
    this.isReading = wanted;
    if (wanted) this.stream.readStart();
    else this.stream.readStop();
    if (this.isOverTcp) this.passOn();
    this.updateRef();
  }

  setRef(wanted: boolean): void {
    this.isRef = wanted;
    this.updateRef();
  }

  hasRef(): boolean {
    return this.isRef;
  }

  /**
   * @param complete called later, where the answer is `waiting`
   * @param isUrgent whether the last byte is
   */
  write(bytes: Uint8Array, complete: PendingWrite['complete'], isUrgent = false): Sent {
    if (this.isClosing) return 'closed';
    const done: PendingWrite['complete'] = (failure) => {
      this.updateRef();
      complete(failure);
    };
    if (this.isOverTcp) {
      this.stream.written += bytes.length;
      this.tcp.write({ bytes, isUrgent, done: 0, complete: done });
      return 'waiting';
    }
    const written = this.stream.write(bytes, done, isUrgent);
    if (written !== false) return written === true ? 'written' : 'peer closed';
    this.updateRef();
    return 'waiting';
  }

  /** Writes a string at once; false where it must be written as bytes. */
  writeString(text: string, encoding: 'latin1' | 'utf8', length: number): boolean {
    if (this.isOverTcp || this.isClosing) return false;
    return this.stream.writeString(text, encoding, length);
  }

  /** Says that nothing more is written, once all is. */
  finish(done: () => void): void {
    if (this.isOverTcp) this.shutdownLeg(done);
    else this.stream.finish(done);
  }

  end(abort: boolean, done?: () => void): void {
    if (this.isClosing) return;
    this.isClosing = true;
    if (this.isOverTcp) {
      this.closeLeg(done, abort);
      return;
    }
    const { isDecided } = this.stream;
    const cancelled = isDecided ? this.stream.close(abort) : this.stream.closeLater(abort);
    for (const { complete } of cancelled) setImmediate(complete, 'cancelled');
    this.updateRef();
    // Until the server has decided, what was written may have to go over TCP still; or if it has just left.
    if (isDecided && this.stream.peerMoved && !abort) {
      this.onMoved();
      if (done !== undefined) setImmediate(done);
    } else if (isDecided) this.closeLeg(done);
    else if (done !== undefined) setImmediate(done);
  }

  /** The server has not taken part in time. */
  giveUp(): void {
    if (!this.stream.isDecided && !this.isOverTcp) this.goTcp();
  }

  /**
   * Has the bytes go over TCP from here on, and gives the TCP connection away: to another process, or
   * another thread. It is paused.
   *
   * @returns undefined where bytes came over TCP already, which cannot be given back, or where the peer has
   * closed
   */
  handOver(): TcpHandle | undefined {
    if (this.isClosing) return undefined;
    this.giveUp();
    if (!this.isOverTcp && this.stream.move()) this.leaveMemory(Buffer.alloc(0));
    if (!this.isOverTcp) this.stream.onNews();
    if (!this.isOverTcp || this.tcp.isHolding) return undefined;
    this.tcp.pause();
    this.tcp.setRef(this.isRef);
    this.isClosing = this.isLegClosed = true;
    return this.leg;
  }

  // What the stream tells.

  onBytes(reader: RingReader, count: number): void {
    this.outlet.onBytes(reader, count);
  }

  onUrgent(byte: number): void {
    this.outlet.onUrgent(byte);
  }

  onEnd(): void {
    this.updateRef();
    this.outlet.onEnd();
  }

  onReset(): void {
    this.updateRef();
    this.outlet.onReset();
  }

  onDecision(isLive: boolean): void {
    if (!isLive) {
      this.goTcp();
      return;
    }
    this.events.onLive();
    this.updateRef();
    if (!this.isClosing) return;
    this.stream.onNews();
    this.stream.close(false);
    this.closeLeg();
  }

  onMoved(): void {
    const { unread, unsent } = this.stream.follow();
    this.tcp.pause();
    if (unread.length > 0) this.tcp.onBytes(unread);
    this.leaveMemory(unsent);
  }

  // What the TCP connection tells.

  onLegBytes(bytes: Uint8Array): void {
    if (this.isOverTcp) {
      this.stream.read += bytes.length;
      this.outlet.onTcpBytes(bytes);
    } else if (this.isNowOverTcp()) this.tcp.onBytes(bytes);
    else this.stream.legEnded(true);
  }

  onLegEnd(status: number): void {
    const isEnd = status === internals().uv.UV_EOF;
    if (!this.isOverTcp) {
      if (this.isNowOverTcp()) this.tcp.onEnd(status);
      else this.stream.legEnded(!isEnd);
    } else if (!isEnd) this.outlet.onError(status);
    else if (!this.stream.hasEnded) this.onEnd();
  }

  /** Something came over TCP: whether it is since the peer has left shared memory, or was never there. */
  private isNowOverTcp(): boolean {
    this.stream.lookAgain();
    this.giveUp();
    return this.isOverTcp;
  }

  /** Goes on over TCP, unless the server has just taken part. */
  private goTcp(): boolean {
    const bytes = this.stream.leave();
    if (bytes === undefined) {
      this.stream.onNews();
      return false;
    }
    this.goOn(bytes);
    this.events.onTcp();
    return true;
  }

  /** The connection, which was over shared memory, goes on over TCP. */
  private leaveMemory(unsent: Buffer): void {
    this.hasMoved = true;
    this.goOn(unsent);
    this.events.onMoved();
  }

  /** @param bytes that were written, and not read by the peer */
  private goOn(bytes: Buffer): void {
    this.isOverTcp = true;
    if (bytes.length > 0) this.tcp.write({ bytes, isUrgent: false, done: 0, complete: () => {} });
    for (const each of this.stream.pending.splice(0)) this.tcp.write(each);
    const { isFinished, done } = this.stream.takeFinish();
    if (isFinished || this.isClosing) this.shutdownLeg(() => done?.());
    this.passOn();
    this.updateRef();
  }

  private passOn(): void {
    if (this.isReading) this.tcp.resume();
    else this.tcp.pause();
  }

  private shutdownLeg(done: () => void): void {
    const request = new (internals().stream.ShutdownWrap)();
    request.oncomplete = () => {
      done();
      if (this.isClosing) this.closeLeg();
    };
    if (this.leg.shutdown(request) !== 0) setImmediate(request.oncomplete, 0);
  }

  private closeLeg(done?: () => void, abort = false): void {
    if (this.isLegClosed) return;
    this.isLegClosed = true;
    if (abort) this.leg.reset(done);
    else this.leg.close(done);
    if (!this.hasMoved) this.events.onClose();
  }

  /** The TCP handle always reads, and must not keep the process alive for that. */
  private updateRef(): void {
    const isActive = this.isOverTcp ? this.isReading : this.stream.isActive;
    this.tcp.setRef(this.isRef && isActive);
  }
}
