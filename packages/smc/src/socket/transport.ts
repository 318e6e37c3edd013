import type { Connection } from '../shm/connection.ts';
import type { RingReader } from '../shm/ring-reader.ts';
import { internals, type TcpHandle } from './internals.ts';
import { type PendingWrite, ShmStream, type StreamSink } from './stream.ts';
import { type LegSink, TcpLeg } from './tcp-leg.ts';

/** What becomes of a connection, for whoever counts. */
export interface TransportEvents {
  onLive(): void;
  onTcp(): void;
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
  private isRef = true;

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

  /** @param complete called later, where the answer is `waiting` */
  write(bytes: Uint8Array, complete: PendingWrite['complete']): Sent {
    if (this.isClosing) return 'closed';
    const done: PendingWrite['complete'] = (failure) => {
      this.updateRef();
      complete(failure);
    };
    if (this.isOverTcp) {
      this.stream.written += bytes.length;
      this.tcp.write({ bytes, done: 0, complete: done });
      return 'waiting';
    }
    const written = this.stream.write(bytes, done);
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
    // Until the server has decided, what was written may have to go over TCP still.
    if (isDecided) this.closeLeg(done);
    else if (done !== undefined) setImmediate(done);
  }

  /** The server has not taken part in time. */
  giveUp(): void {
    if (!this.stream.isDecided && !this.isOverTcp) this.goTcp();
  }

  // What the stream tells.

  onBytes(reader: RingReader, count: number): void {
    this.outlet.onBytes(reader, count);
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

  // What the TCP connection tells.

  onLegBytes(bytes: Uint8Array): void {
    if (!this.isOverTcp && this.stream.isDecided) this.stream.legEnded(true);
    else if (this.isOverTcp || this.goTcp()) {
      this.stream.read += bytes.length;
      this.outlet.onTcpBytes(bytes);
    }
  }

  onLegEnd(status: number): void {
    if (!this.isOverTcp && !this.stream.isDecided) {
      this.stream.lookAgain();
      this.giveUp();
    }
    const isEnd = status === internals().uv.UV_EOF;
    if (!this.isOverTcp) this.stream.legEnded(!isEnd);
    else if (isEnd) this.onEnd();
    else this.outlet.onError(status);
  }

  /** Goes on over TCP, unless the server has just taken part. */
  private goTcp(): boolean {
    const bytes = this.stream.leave();
    if (bytes === undefined) {
      this.stream.onNews();
      return false;
    }
    this.isOverTcp = true;
    this.events.onTcp();
    if (bytes.length > 0) this.tcp.write({ bytes, done: 0, complete: () => {} });
    for (const each of this.stream.pending.splice(0)) this.tcp.write(each);
    const { isFinished, done } = this.stream.takeFinish();
    if (isFinished || this.isClosing) this.shutdownLeg(() => done?.());
    this.passOn();
    this.updateRef();
    return true;
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
    this.events.onClose();
  }

  /** The TCP handle always reads, and must not keep the process alive for that. */
  private updateRef(): void {
    const isActive = this.isOverTcp ? this.isReading : this.stream.isActive;
    this.tcp.setRef(this.isRef && isActive);
  }
}
