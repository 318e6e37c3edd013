import type { Connection, ConnectionOwner } from '../shm/connection.ts';
import type { RingReader } from '../shm/ring-reader.ts';

/** Bytes given to a socket at once, as Node's own handles have it. */
const CHUNK = 65536;
/** Chunks given to one socket before others get their turn. */
const CHUNKS_PER_TURN = 8;

/** Whoever takes what a stream receives. */
export interface StreamSink {
  /** Takes `count` bytes off the reader. */
  onBytes(reader: RingReader, count: number): void;
  onEnd(): void;
  /** An urgent byte has come, which is among those that are read, too. */
  onUrgent(byte: number): void;
  onReset(): void;
  /** The peer goes on over TCP, where this end has to follow. */
  onMoved(): void;
  /** The peer takes part, or does not: then the stream is over, and TCP goes on. */
  onDecision(isLive: boolean): void;
  /** The most bytes that one `onBytes` may take. */
  readonly most: number;
}

/** Bytes that wait for room. */
export interface PendingWrite {
  readonly bytes: Uint8Array;
  /** Whether the last of them is. */
  readonly isUrgent: boolean;
  done: number;
  /** Called later, never from within `write`. */
  readonly complete: (failure?: 'reset' | 'cancelled') => void;
}

/**
 * The bytes of a socket over shared memory. A client with several links to the server's port has a
 * candidate in each, until one process of the server has taken the connection.
 */
export class ShmStream implements ConnectionOwner {
  connection: Connection | undefined;
  pending: PendingWrite[] = [];
  written = 0;
  read = 0;
  writes = 0;
  private candidates: readonly Connection[];
  private readonly sink: StreamSink;
  private wantsRead = false;
  private ended = false;
  private decided = false;
  private isOver = false;
  private wroteAfterClose = false;
  /** Called when all is written and the end is told. */
  private onFlushed: (() => void) | undefined;
  private isFinished = false;

  constructor(candidates: readonly Connection[], sink: StreamSink) {
    this.candidates = candidates;
    this.sink = sink;
    this.connection = candidates.length === 1 ? candidates[0] : undefined;
    this.decided = this.connection?.link.role === 'server';
    for (const each of candidates) {
      each.owner = this;
      if (candidates.length > 1) each.askToBeTold();
    }
  }

  get isDecided(): boolean {
    return this.decided;
  }

  /** Whether the end of what the peer wrote has been told. */
  get hasEnded(): boolean {
    return this.ended;
  }

  /** Whether the peer goes on over TCP. */
  get peerMoved(): boolean {
    return this.connection?.peerMoved ?? false;
  }

  /** Whether it waits for the peer; if not, it need not keep the process alive. */
  get isActive(): boolean {
    return this.wantsRead || this.pending.length > 0 || !this.decided;
  }

  get hasPeerClosed(): boolean {
    return this.connection?.peerClosed === true;
  }

  readStart(): void {
    if (this.wantsRead || this.ended) return;
    this.wantsRead = true;
    // Never from within the call: whoever asks does not expect an answer yet.
    if (this.connection !== undefined) this.connection.link.later(this.connection);
  }

  readStop(): void {
    this.wantsRead = false;
  }

  /** Whether all bytes are written; otherwise `complete` is called when they are. @param isUrgent the last byte */
  write(
    bytes: Uint8Array,
    complete: PendingWrite['complete'],
    isUrgent = false,
  ): boolean | 'closed' {
    const { connection } = this;
    let done = 0;
    this.written += bytes.length;
    this.writes++;
    if (connection !== undefined && this.pending.length === 0) {
      if (connection.peerClosed) return this.writeAfterClose();
      done = this.fill(connection, bytes, 0, isUrgent);
      if (done === bytes.length) return true;
    }
    this.pending.push({ bytes, isUrgent, done, complete });
    return false;
  }

  /** Writes a string at once; false where it must be written as bytes. */
  writeString(text: string, encoding: 'latin1' | 'utf8', length: number): boolean {
    const { connection } = this;
    if (connection === undefined || this.pending.length > 0 || connection.peerClosed) return false;
    if (!connection.writer.writeString(text, encoding, length)) return false;
    connection.publish();
    this.written += length;
    this.writes++;
    return true;
  }

  /** As with TCP, the first write after the peer has closed is lost, and the next ones fail. */
  private writeAfterClose(): true | 'closed' {
    if (this.wroteAfterClose) return 'closed';
    this.wroteAfterClose = true;
    return true;
  }

  private fill(connection: Connection, bytes: Uint8Array, from: number, isUrgent: boolean): number {
    let done = from;
    for (;;) {
      done += connection.writer.write(bytes, done);
      if (done === bytes.length) break;
      if (!connection.waitForRoom()) return done;
    }
    if (isUrgent) connection.writer.markUrgent();
    connection.publish();
    return done;
  }

  /** Says that nothing more is written, once all is. */
  finish(done: () => void): void {
    this.isFinished = true;
    this.onFlushed = done;
    // As libuv has it: not before the next turn of the loop.
    if (this.connection !== undefined) setImmediate(() => this.tryFinish());
  }

  private tryFinish(): void {
    if (this.isOver || !this.isFinished || this.pending.length > 0) return;
    if (this.onFlushed === undefined || this.connection === undefined) return;
    this.connection.finish();
    this.takeFinish().done?.();
  }

  /** Whether nothing more is written, and who wants to hear when that is so. */
  takeFinish(): { readonly isFinished: boolean; readonly done: (() => void) | undefined } {
    const done = this.onFlushed;
    this.onFlushed = undefined;
    return { isFinished: this.isFinished, done };
  }

  /** Neither reads nor writes any more. @returns what waited for room */
  close(abort: boolean): readonly PendingWrite[] {
    // An end that was asked for, and waits for the next turn.
    if (!abort && this.pending.length === 0 && this.onFlushed !== undefined)
      this.connection?.finish();
    this.isOver = true;
    this.wantsRead = false;
    for (const each of this.candidates) {
      each.refresh();
      each.close(abort || (each.reader.unread > 0 && !this.ended));
    }
    return this.pending.splice(0);
  }

  /** Closes as soon as the peer takes part: `onDecision` then tells to. */
  closeLater(abort: boolean): readonly PendingWrite[] {
    this.wantsRead = false;
    for (const each of this.candidates) each.sayClosed(abort);
    // With several candidates nothing could be written yet, and what waits must not be lost.
    return this.connection === undefined ? [] : this.pending.splice(0);
  }

  /** Leaves shared memory, which the peer does not take part in. @returns what was written */
  leave(): Buffer | undefined {
    const untaken = this.connection?.writer.untaken() ?? Buffer.alloc(0);
    for (const each of this.candidates) {
      if (!each.leave()) return undefined;
    }
    this.isOver = true;
    return untaken;
  }

  /** Leaves shared memory; the peer will follow. @returns false where it has left before, or has closed */
  move(): boolean {
    if (!this.connection?.move()) return false;
    this.isOver = true;
    return true;
  }

  /** Leaves shared memory after the peer. */
  follow(): { readonly unread: Buffer; readonly unsent: Buffer } {
    const { reader, writer } = this.connection!;
    const both = { unread: reader.take(reader.unread), unsent: writer.untaken() };
    this.connection!.depart();
    this.isOver = true;
    return both;
  }

  /** The TCP connection has ended: so has the peer, even if it could not say so. */
  legEnded(isReset: boolean): void {
    const { connection } = this;
    if (connection === undefined) return;
    connection.refresh();
    if (!connection.peerClosed) {
      if (isReset || connection.writer.pending > 0) connection.failure ??= 'reset';
      connection.peerDone = connection.peerClosed = true;
    }
    this.onNews();
  }

  /** Looks whether the peer takes part, which it need not tell. */
  lookAgain(): void {
    for (const each of this.candidates) each.refresh();
    this.onNews();
  }

  onNews(): void {
    if (this.isOver) return;
    if (!this.decided && !this.decide()) return;
    const connection = this.connection!;
    this.tellUrgent(connection);
    if (this.isOver) return;
    if (connection.peerMoved) {
      this.sink.onMoved();
      return;
    }
    if (this.pending.length > 0) this.flush(connection);
    else this.tryFinish();
    if (this.wantsRead) this.deliver(connection);
  }

  private decide(): boolean {
    const live = this.candidates.find(({ isLive }) => isLive);
    if (live === undefined) {
      if (this.candidates.every(({ isRefused }) => isRefused)) this.sink.onDecision(false);
      return false;
    }
    this.decided = true;
    this.connection = live;
    for (const each of this.candidates) if (each !== live) each.leave();
    this.candidates = [live];
    this.sink.onDecision(true);
    return !this.isOver;
  }

  private flush(connection: Connection): void {
    while (this.pending.length > 0) {
      const first = this.pending[0]!;
      const failed = connection.peerClosed || connection.failure !== undefined;
      if (!failed) {
        first.done = this.fill(connection, first.bytes, first.done, first.isUrgent);
        if (first.done < first.bytes.length) return;
      }
      this.pending.shift();
      first.complete(failed ? 'reset' : undefined);
      if (this.isOver) return;
    }
    connection.hasRoom();
    this.tryFinish();
  }

  private tellUrgent({ reader }: Connection): void {
    const byte = reader.takeUrgent();
    if (byte !== undefined) this.sink.onUrgent(byte);
  }

  private deliver(connection: Connection): void {
    const { reader } = connection;
    for (let chunks = 0; reader.unread > 0; chunks++) {
      if (chunks === CHUNKS_PER_TURN) {
        connection.link.later(connection);
        return;
      }
      const count = Math.min(reader.unread, CHUNK, this.sink.most);
      this.read += count;
      this.sink.onBytes(reader, count);
      connection.publishTaken();
      if (!this.wantsRead || this.isOver) return;
      connection.refresh();
      this.tellUrgent(connection);
      if (!this.wantsRead || this.isOver) return;
    }
    if (connection.peerMoved) {
      this.sink.onMoved();
      return;
    }
    // As TCP has it: who has read a whole stream to its end does not hear of a reset that comes behind it.
    const isWhole = connection.peerFinished && connection.failure === 'reset';
    if (connection.failure !== undefined && !isWhole) {
      this.wantsRead = false;
      this.sink.onReset();
    } else if (connection.peerDone && !this.ended) {
      this.ended = true;
      this.wantsRead = false;
      this.sink.onEnd();
    }
  }
}
