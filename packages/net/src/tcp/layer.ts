import { ACK, RST, SYN } from '../layout/tcp.ts';
import type { Endpoint, OutsideStream, StreamEvents } from '../outside.ts';
import { Connection } from './connection.ts';
import { advance, type Segment } from './segment.ts';
import type { ConnectionLayer, ConnectionRecord, Ends, Outgoing } from './types.ts';

/** Connections at once; SYNs beyond are not answered. */
const maxConnections = 512;
const maxConnecting = 128;
/** Bytes that all connections may hold in each direction, about; and one of them. */
const totalBuffer = 64 << 20;
const mostBuffer = 1 << 20;

/** Nobody listens there, or the policy is against it. */
export type NoWay = 'refused' | 'prohibited';

/** What the layer asks of the stack. */
export interface TcpHost {
  readonly mss: number;
  largest(mss: number): number;
  now(): number;
  transmit(from: Endpoint, guestPort: number, segment: Outgoing): boolean;
  /** Opens the way to where the guest wants, or says why there is none. */
  connect(to: Endpoint, events: StreamEvents): OutsideStream | NoWay;
  /** Tells the guest by ICMP. @param sequence of its SYN */
  unreachable(ends: Ends, sequence: number, why: 'unreachable' | 'prohibited'): void;
}

/** All TCP connections of a guest. */
export class TcpLayer implements ConnectionLayer {
  readonly #host: TcpHost;
  readonly #connections = new Map<string, Connection>();
  readonly #dirty = new Set<Connection>();
  /** Those of them that do not wait for the end of the turn. */
  readonly #urgent = new Set<Connection>();
  readonly #blocked = new Set<Connection>();
  #flushQueued = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(host: TcpHost) {
    this.#host = host;
  }

  get mss(): number {
    return this.#host.mss;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** @returns whether the memory of the segment's data is kept */
  receive(remote: Endpoint, segment: Segment): boolean {
    const ends = { guestPort: segment.source, remote };
    const key = keyOf(ends);
    let connection = this.#connections.get(key);
    const isNew = (segment.flags & (SYN | ACK | RST)) === SYN;
    if (isNew && connection?.state === 'lingering') {
      connection.abandon();
      connection = undefined;
    }
    if (connection !== undefined) return connection.receive(segment);
    if (isNew) this.#open(ends, segment);
    else if (!(segment.flags & RST)) this.#refuse(ends, segment);
    return false;
  }

  /** Opens a connection to a port of the guest's. @returns false where there are too many */
  accept(
    remote: Endpoint,
    guestPort: number,
    open: (events: StreamEvents) => OutsideStream,
  ): boolean {
    const ends = { guestPort, remote };
    if (this.#connections.size >= maxConnections || this.#connections.has(keyOf(ends))) {
      return false;
    }
    const connection = new Connection(this, ends, randomSequence());
    connection.stream = open(connection);
    this.#connections.set(keyOf(ends), connection);
    connection.open();
    return true;
  }

  /** Sends what must not wait of what the segments received so far brought about. */
  flush(): void {
    this.#flush(this.#urgent);
  }

  /** The guest has room again. */
  room(): void {
    for (const connection of [...this.#blocked]) {
      this.#blocked.delete(connection);
      connection.flush();
      if (this.#blocked.has(connection)) return;
    }
  }

  records(): ConnectionRecord[] {
    return [...this.#connections.values()].flatMap((connection) => connection.record ?? []);
  }

  /** Tells the guest that connections of its are gone. */
  reset(records: readonly ConnectionRecord[]): void {
    for (const { remote, guestPort, sequence, acknowledgment } of records) {
      const position = { sequence, acknowledgment, window: 0, data: [], mss: this.mss };
      this.#host.transmit(remote, guestPort, { ...position, flags: RST | ACK });
    }
  }

  /** Ends all connections; the guest is told. */
  close(): void {
    for (const connection of this.#connections.values()) connection.abort();
    clearTimeout(this.#timer);
  }

  // For connections.

  transmit(connection: Connection, segment: Outgoing): boolean {
    const { remote, guestPort } = connection.ends;
    const sent = this.#host.transmit(remote, guestPort, segment);
    if (!sent && connection.state !== 'closed') this.#blocked.add(connection);
    return sent;
  }

  largest(mss: number): number {
    return this.#host.largest(mss);
  }

  bufferLimit(): number {
    return Math.min(mostBuffer, Math.floor(totalBuffer / Math.max(1, this.#connections.size)));
  }

  now(): number {
    return this.#host.now();
  }

  /** A guest that goes on sending is interrupted once a turn, not for each segment. */
  dirty(connection: Connection, urgent = false): void {
    this.#dirty.add(connection);
    if (urgent) this.#urgent.add(connection);
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      this.#flushQueued = false;
      this.#flush(this.#dirty);
    });
  }

  #flush(connections: Set<Connection>): void {
    for (const connection of connections) {
      this.#dirty.delete(connection);
      this.#urgent.delete(connection);
      connection.flush();
    }
  }

  armed({ deadline }: Connection): void {
    if (deadline >= this.#timerAt) return;
    this.#timerAt = deadline;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, deadline - this.now()));
    // In Node: connections do not keep a program running.
    if (typeof this.#timer === 'object') this.#timer.unref();
  }

  removed(connection: Connection): void {
    this.#connections.delete(keyOf(connection.ends));
    this.#dirty.delete(connection);
    this.#urgent.delete(connection);
    this.#blocked.delete(connection);
  }

  unreachable({ ends }: Connection, sequence: number): void {
    this.#host.unreachable(ends, sequence, 'unreachable');
  }

  #open(ends: Ends, segment: Segment): void {
    if (this.#connections.size >= maxConnections || this.#connecting >= maxConnecting) return;
    const connection = new Connection(this, ends, randomSequence(), segment);
    const stream = this.#host.connect(ends.remote, connection);
    if (stream === 'refused') this.#refuse(ends, segment);
    else if (stream === 'prohibited') this.#host.unreachable(ends, segment.sequence, stream);
    else {
      connection.stream = stream;
      this.#connections.set(keyOf(ends), connection);
    }
  }

  get #connecting(): number {
    let count = 0;
    for (const { state } of this.#connections.values()) if (state === 'connecting') count++;
    return count;
  }

  /** RFC 9293, 3.10.7.1: of a connection that is not there, or was of another machine. */
  #refuse({ remote, guestPort }: Ends, { flags, sequence, acknowledgment, data }: Segment): void {
    const known = (flags & ACK) !== 0;
    const length = data.length + (flags & SYN ? 1 : 0) + (flags & 1);
    this.#host.transmit(remote, guestPort, {
      sequence: known ? acknowledgment : 0,
      acknowledgment: known ? 0 : advance(sequence, length),
      flags: known ? RST : RST | ACK,
      window: 0,
      data: [],
      mss: this.mss,
    });
  }

  #expire(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.now();
    for (const connection of [...this.#connections.values()]) {
      if (connection.deadline <= now) connection.expire();
      if (connection.deadline < Number.POSITIVE_INFINITY) this.armed(connection);
    }
  }
}

function keyOf({ guestPort, remote }: Ends): string {
  return `${guestPort} ${remote.address} ${remote.port}`;
}

function randomSequence(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
