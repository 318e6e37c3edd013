import { type Diagnosis, explainDiagnosis } from '../clc/diagnosis.ts';
import { clcLength, parseClc } from '../clc/message.ts';
import type { ClcAccept, ClcMessage, Path } from '../clc/types.ts';
import { type Datagram, ipv6Text } from './frame.ts';
import { OrderedBytes, type TcpSegment } from './segments.ts';

/** A TCP connection over which at least one end said that it speaks SMC. */
export interface CapturedConnection {
  /** Counted from 1. */
  readonly number: number;
  /** address:port */
  readonly client: string;
  readonly server: string;
  /** What the connection went on over. Unknown where the capture has no end of the handshake. */
  readonly transport: 'SMC-R' | 'SMC-D' | 'TCP' | 'unknown';
  /** 1, 2 or 2.1, of SMC. */
  readonly version?: string;
  readonly isFirstContact?: boolean;
  readonly eid?: string;
  /** Why it is TCP. */
  readonly diagnosis?: Diagnosis;
}

interface State {
  readonly number: number;
  readonly client: string;
  readonly server: string;
  readonly clientAddress: string;
  offered: boolean;
  answered: boolean;
  readonly fromClient: OrderedBytes;
  readonly fromServer: OrderedBytes;
  /** Directions that may still bring CLC messages. */
  readonly talking: Set<OrderedBytes>;
  accept?: ClcAccept;
  confirm?: ClcAccept;
  /** Of the link group: 0 or 1. */
  release?: number;
  diagnosis?: Diagnosis;
  declined: boolean;
}

/** What a segment told. */
export interface Told {
  readonly connection: number;
  readonly message?: ClcMessage;
  readonly problem?: unknown;
}

/** Connections that are remembered; older ones are listed no more. */
const MAX_CONNECTIONS = 65536;
/** What the ends say of the buffers of a connection; each knows the other's. */
const MAX_KEYS = 4 * MAX_CONNECTIONS;

/** The handshakes of a capture, and whose the keys and tokens are that they name. */
export class Connections {
  readonly #byEnds = new Map<string, State>();
  readonly #keys = new Map<string, number>();
  /** Release that two ends agreed on when their link group was new. */
  readonly #releases = new Map<string, number>();
  #count = 0;

  /** One segment; the messages that it completes. */
  feed(datagram: Datagram, segment: TcpSegment): Told[] {
    const source = endOf(datagram.source, datagram.sourcePort);
    const destination = endOf(datagram.destination, datagram.destinationPort);
    if (segment.isSyn) return this.#syn(datagram, segment, source, destination);
    const state =
      this.#byEnds.get(`${source} ${destination}`) ??
      this.#byEnds.get(`${destination} ${source}`) ??
      this.#midway(datagram, source, destination);
    if (state === undefined) return [];
    const bytes = state.client === source ? state.fromClient : state.fromServer;
    if (!state.talking.has(bytes)) return [];
    bytes.push(segment.sequence, datagram.payload);
    return this.#messages(state, bytes);
  }

  /** The connection whose receiver at `address` gave this token, or key of its buffer. */
  find(address: string, kind: 'token' | 'rkey', value: number): number | undefined {
    return this.#keys.get(`${address} ${kind} ${value}`);
  }

  *list(): Generator<CapturedConnection> {
    for (const state of this.#byEnds.values()) yield summaryOf(state);
  }

  #syn(datagram: Datagram, segment: TcpSegment, source: string, destination: string): Told[] {
    const { isAck, hasSmcOption, sequence } = segment;
    const first = (sequence + 1) >>> 0;
    if (!isAck) {
      if (!hasSmcOption) return [];
      const state = this.#open(datagram.source, source, destination);
      state.offered = true;
      state.fromClient.push(first, new Uint8Array());
      return [{ connection: state.number }];
    }
    const state = this.#byEnds.get(`${destination} ${source}`);
    if (state === undefined) return [];
    state.answered = hasSmcOption;
    state.fromServer.push(first, new Uint8Array());
    if (!hasSmcOption) {
      state.talking.clear();
      state.diagnosis = explainDiagnosis(0x03010000);
    }
    return [{ connection: state.number }];
  }

  /** A capture that began after the handshake of TCP. */
  #midway(datagram: Datagram, source: string, destination: string): State | undefined {
    if (clcLength(datagram.payload) === undefined) return undefined;
    const isFromClient = datagram.payload[4] === 1;
    const state = isFromClient
      ? this.#open(datagram.source, source, destination)
      : this.#open(datagram.destination, destination, source);
    state.offered = true;
    state.answered = true;
    return state;
  }

  #open(clientAddress: string, client: string, server: string): State {
    const fromClient = new OrderedBytes();
    const fromServer = new OrderedBytes();
    const state: State = {
      number: ++this.#count,
      client,
      server,
      clientAddress,
      offered: false,
      answered: false,
      fromClient,
      fromServer,
      talking: new Set([fromClient, fromServer]),
      declined: false,
    };
    this.#byEnds.delete(`${client} ${server}`);
    this.#byEnds.set(`${client} ${server}`, state);
    forgetOldest(this.#byEnds, MAX_CONNECTIONS);
    return state;
  }

  #messages(state: State, bytes: OrderedBytes): Told[] {
    const told: Told[] = [];
    while (bytes.ready.length >= 8 && state.talking.has(bytes)) {
      const length = clcLength(bytes.ready);
      if (length === undefined) state.talking.delete(bytes);
      if (length === undefined || length > bytes.ready.length) break;
      try {
        const message = parseClc(bytes.take(length));
        this.#learn(state, bytes, message);
        told.push({ connection: state.number, message });
      } catch (problem) {
        state.talking.delete(bytes);
        told.push({ connection: state.number, problem });
      }
    }
    return told;
  }

  #confirmed(state: State, confirm: ClcAccept): void {
    state.confirm = confirm;
    const group = `${sayerOf(state.accept)} ${sayerOf(confirm)}`;
    const release = confirm.firstContact?.release ?? this.#releases.get(group);
    if (release === undefined) return;
    state.release = release;
    this.#releases.set(group, release);
    forgetOldest(this.#releases, MAX_CONNECTIONS);
  }

  #learn(state: State, bytes: OrderedBytes, message: ClcMessage): void {
    if (message.kind === 'proposal') return;
    // Accept may still be declined by the client; Confirm by the server.
    if (message.kind !== 'accept') state.talking.delete(bytes);
    if (message.kind === 'decline') {
      state.declined = true;
      state.diagnosis = explainDiagnosis(message.diagnosis);
      state.talking.clear();
      return;
    }
    if (message.kind === 'accept') state.accept = message;
    else this.#confirmed(state, message);
    if (message.path === 'D') return;
    const address = ipv6Text(message.gid);
    this.#keys.set(`${address} token ${message.alertToken}`, state.number);
    this.#keys.set(`${address} rkey ${message.rkey}`, state.number);
    forgetOldest(this.#keys, MAX_KEYS);
  }
}

/** Who gave this message, whatever the connection. */
function sayerOf(message: ClcAccept | undefined): string {
  if (message === undefined) return '';
  return message.path === 'R' ? ipv6Text(message.gid) : String(message.gid);
}

function forgetOldest(map: Map<string, unknown>, most: number): void {
  if (map.size <= most) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}

function summaryOf(state: State): CapturedConnection {
  const { number, client, server, confirm, diagnosis } = state;
  if (diagnosis !== undefined) return { number, client, server, transport: 'TCP', diagnosis };
  if (confirm === undefined) return { number, client, server, transport: 'unknown' };
  return {
    number,
    client,
    server,
    transport: `SMC-${confirm.path satisfies Path}`,
    version: `${confirm.version}${state.release ? `.${state.release}` : ''}`,
    isFirstContact: confirm.isFirstContact,
    ...(confirm.eid !== undefined && { eid: confirm.eid }),
  };
}

function endOf(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
