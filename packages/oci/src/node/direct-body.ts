import type { Agent, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Bytes of a piece. Two of them wait for their reader at most; then the connection does. */
const PIECE = 512 * 1024;
const AHEAD = 2;
/**
 * Bodies below it are left to Node, whose connections serve again afterwards. Of who asks for parts more is expected,
 * and a connection costs more waiting than some megabytes cost time here.
 */
const LARGE = 1024 * 1024;
const LARGE_PART = 8 * 1024 * 1024;
/** Partial Content. */
const PART = 206;
/** What has come of a piece is given after so many milliseconds, though more may come. */
const LATE = 10;
/** For heads of answers. */
const HEAD = 64 * 1024;

/**
 * Has an agent's connections read large bodies straight into the memory that their readers get. Node's parser
 * makes memory for each 64 KiB, and copies them into other memory: what collects it takes longer than the
 * network. See docs/decisions/0138.
 */
export function readDirectly<A extends Agent>(agent: A): A {
  const make = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const intake = new Intake();
    const socket = make({ ...options, ...{ onread: intake.onread } }, callback);
    // Without a proxy it is one.
    intake.socket = socket as Socket;
    intakes.set(intake.socket, intake);
    return socket;
  };
  return agent;
}

/**
 * The body of an answer, if it is large and its connection reads directly. To be asked for while `response` is
 * emitted. The connection ends with the body: Node's parser waits for the rest of it.
 *
 * @param lent whether a chunk's memory is used again once the next one is asked for
 */
export function takeBody(
  response: IncomingMessage,
  lent: boolean,
): AsyncIterable<Uint8Array> | undefined {
  const length = Number(response.headers['content-length'] ?? Number.NaN);
  const isWhole = response.headers['transfer-encoding'] === undefined;
  const least = response.statusCode === PART ? LARGE_PART : LARGE;
  if (!(length >= least && Number.isSafeInteger(length) && isWhole)) return undefined;
  return intakes.get(response.socket)?.take(response, length, lent);
}

const intakes = new WeakMap<Socket, Intake>();

/** Decides where the bytes of a connection go: to Node's parser, or to a body. */
class Intake {
  socket: Socket | undefined;
  readonly onread = {
    buffer: () => (this.#body ? this.#body.target() : this.#head),
    callback: (length: number) => this.#came(length),
  };
  readonly #head = new Uint8Array(HEAD);
  #isParsing = false;
  #body: DirectBody | undefined;

  take(response: IncomingMessage, length: number, lent: boolean): DirectBody | undefined {
    // An answer that waited somewhere: its body may do so, too.
    if (!this.#isParsing || this.socket!.readableLength > 0) return undefined;
    this.#body = new DirectBody(this.socket!, response, length, lent);
    return this.#body;
  }

  #came(length: number): boolean {
    if (this.#body) return this.#body.came(length);
    this.#isParsing = true;
    const goOn = this.socket!.push(Buffer.from(this.#head.subarray(0, length)));
    this.#isParsing = false;
    return this.#taken()?.begin() ?? goOn;
  }

  /** What parsing may have set. */
  #taken(): DirectBody | undefined {
    return this.#body;
  }
}

class DirectBody implements AsyncIterable<Uint8Array> {
  readonly #socket: Socket;
  readonly #response: IncomingMessage;
  /** Bytes to come. */
  #left: number;
  #piece: Uint8Array | undefined;
  #filled = 0;
  /** Of the piece, as it was late. */
  #given = 0;
  /** Ends of pieces that are full. */
  readonly #full: Uint8Array[] = [];
  readonly #lent: boolean;
  /** Memory that nobody reads any more. */
  readonly #free: Uint8Array[] = [];
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #isLate = false;

  constructor(socket: Socket, response: IncomingMessage, length: number, lent: boolean) {
    this.#lent = lent;
    this.#socket = socket;
    this.#response = response;
    this.#left = length;
    // Silence, a signal and a broken connection all end here.
    response.on('error', (error) => this.#fail(error));
    response.on('close', () => this.#fail(new Error('the connection ended')));
  }

  /** Takes over what came together with the head. Whether more is wanted now. */
  begin(): boolean {
    for (;;) {
      const first: Buffer | null = this.#response.read();
      if (first === null) return true;
      this.target().set(first);
      this.came(first.length);
    }
  }

  /** Where the next bytes go. */
  target(): Uint8Array {
    const size = Math.min(PIECE, this.#left);
    this.#piece ??= this.#free.pop()?.subarray(0, size) ?? Buffer.allocUnsafeSlow(size);
    return this.#piece.subarray(this.#filled);
  }

  /** Bytes are in the target. Whether more are wanted now. */
  came(length: number): boolean {
    this.#filled += length;
    this.#left -= length;
    if (this.#filled === this.#piece!.length) {
      this.#full.push(this.#rest());
      this.#piece = undefined;
      this.#filled = 0;
      this.#given = 0;
    }
    if (this.#left === 0) this.#socket.destroy();
    if (this.#full.length > 0 || this.#isLate) this.#wake?.();
    return this.#full.length < AHEAD;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (!this.#isReady()) await this.#arrival();
        const full = this.#full.shift();
        const next = full ?? this.#rest();
        if (next.length > 0) yield next;
        else if (this.#left === 0) return;
        else throw this.#error;
        // Smaller ones are the last.
        if (this.#lent && full?.buffer.byteLength === PIECE)
          this.#free.push(new Uint8Array(full.buffer));
        if (this.#full.length < AHEAD && !this.#socket.destroyed) this.#socket.resume();
      }
    } finally {
      this.#socket.destroy();
    }
  }

  /** What nobody has been given of the piece that is being filled. */
  #rest(): Uint8Array {
    const rest = this.#piece?.subarray(this.#given, this.#filled) ?? new Uint8Array(0);
    this.#given = this.#filled;
    return rest;
  }

  #isReady(): boolean {
    return this.#full.length > 0 || this.#left === 0 || this.#error !== undefined;
  }

  async #arrival(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(() => {
      this.#isLate = true;
      if (this.#filled > this.#given) resolve();
    }, LATE);
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
    this.#isLate = false;
  }

  #fail(error: Error): void {
    if (this.#left === 0) return;
    this.#error ??= error;
    this.#wake?.();
  }
}
