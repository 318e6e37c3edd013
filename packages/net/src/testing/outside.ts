import type {
  DatagramEvents,
  Endpoint,
  Outside,
  OutsideDatagrams,
  OutsideStream,
  StreamEvents,
} from '../outside.ts';

/** A stream of a world that does what the test says. */
export class FakeStream implements OutsideStream {
  readonly to: Endpoint;
  readonly events: StreamEvents;
  readonly written: Uint8Array[] = [];
  /** What is written stays waiting. */
  isStuck = false;
  waiting = 0;
  paused = false;
  isEnded = false;
  closed: 'no' | 'closed' | 'aborted' = 'no';

  constructor(to: Endpoint, events: StreamEvents) {
    this.to = to;
    this.events = events;
  }

  get text(): string {
    return Buffer.concat(this.written).toString();
  }

  write(bytes: Uint8Array): boolean {
    this.written.push(bytes.slice());
    if (this.isStuck) this.waiting += bytes.length;
    return false;
  }

  end(): void {
    this.isEnded = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(abort: boolean): void {
    this.closed = abort ? 'aborted' : 'closed';
  }
}

export class FakeDatagrams implements OutsideDatagrams {
  readonly events: DatagramEvents;
  readonly sent: { readonly to: Endpoint; readonly bytes: Uint8Array }[] = [];
  closed = false;

  constructor(events: DatagramEvents) {
    this.events = events;
  }

  send(to: Endpoint, bytes: Uint8Array): void {
    this.sent.push({ to, bytes: bytes.slice() });
  }

  close(): void {
    this.closed = true;
  }
}

/** A world without anything in it but what the test puts there. */
export class FakeOutside implements Outside {
  readonly streams: FakeStream[] = [];
  readonly sockets: FakeDatagrams[] = [];
  readonly own = new Set<number>();
  answer: (query: Uint8Array) => Promise<Uint8Array> = () => Promise.reject(new Error('nobody'));

  connect(to: Endpoint, events: StreamEvents): OutsideStream {
    const stream = new FakeStream(to, events);
    this.streams.push(stream);
    return stream;
  }

  datagrams(events: DatagramEvents): OutsideDatagrams {
    const socket = new FakeDatagrams(events);
    this.sockets.push(socket);
    return socket;
  }

  query(message: Uint8Array): Promise<Uint8Array> {
    return this.answer(message);
  }

  isOwn(address: number): boolean {
    return this.own.has(address);
  }
}
