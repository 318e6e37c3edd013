import type { Connection } from '../shm/connection.ts';
import type { RingReader } from '../shm/ring-reader.ts';
import { countGiven } from './collect.ts';
import {
  adoptHandles,
  asyncResource,
  internals,
  ownerOf,
  type ShutdownRequest,
  type SocketName,
  type StreamHandle,
  type TcpHandle,
  type WriteRequest,
} from './internals.ts';
import { type Outlet, type Sent, Transport, type TransportEvents } from './transport.ts';
import { isUrgent, markUrgent } from './urgent.ts';

type Chunks = readonly (Uint8Array | string)[];

let handleClass: HandleClass | undefined;

/** The handle of a socket whose bytes go through shared memory. */
export interface SmcHandle extends Omit<StreamHandle, 'fd'> {
  readonly transport: Transport;
  /** Gives the TCP handle away, paused: the bytes go over it from here on. Undefined where they cannot. */
  handOver(): TcpHandle | undefined;
}

type HandleClass = new (
  leg: TcpHandle,
  candidates: readonly Connection[],
  events: TransportEvents,
) => SmcHandle;

/**
 * @param leg the connected TCP handle, which the new one owns from now on
 * @param candidates one, or of a client one in each link to the server's port
 */
export function smcHandle(
  leg: TcpHandle,
  candidates: readonly Connection[],
  events: TransportEvents,
): SmcHandle {
  if (handleClass === undefined) {
    handleClass = makeClass();
    adoptHandles(isSmcHandle);
  }
  return new handleClass(leg, candidates, events);
}

export function isSmcHandle(handle: unknown): boolean {
  return handleClass !== undefined && handle instanceof handleClass;
}

/**
 * Made at the first use, because it extends a class from inside Node: that of a stream which is
 * implemented in JavaScript. `net.Socket` calls its methods as it calls those of a TCP handle; TLS and
 * HTTP/2, which take a handle over below JavaScript, come by `onwrite` and its like.
 */
function makeClass(): HandleClass {
  const { JSStream, stream, uv } = internals();
  const { streamBaseState: state, kReadBytesOrError, kArrayBufferOffset } = stream;
  const { kBytesWritten, kLastWriteWasAsync } = stream;
  const { UV_EOF, UV_ECONNRESET, UV_ECANCELED, UV_EPIPE, UV_EBADF } = uv;
  const failures = { reset: UV_ECONNRESET, cancelled: UV_ECANCELED } as const;
  const results: Readonly<Record<Sent, number>> = {
    written: 0,
    waiting: 0,
    'peer closed': UV_EPIPE,
    closed: UV_EBADF,
  };

  return class SmcHandle extends JSStream implements Outlet {
    /** Keeps the HTTP server from reading below JavaScript: that way is the longer one here. */
    _consumed = true;
    reading = false;
    readonly transport: Transport;
    private readonly resource = asyncResource();
    /** Somebody may have taken the handle over below JavaScript, who must get the bytes there. */
    private isTaken = false;
    private userBuffer: Uint8Array | undefined;
    /** Writes from below JavaScript that are done, which has not been told yet. */
    private readonly written: WriteRequest[] = [];

    constructor(leg: TcpHandle, candidates: readonly Connection[], events: TransportEvents) {
      super();
      this.transport = new Transport(leg, candidates, this, events);
    }

    // What net.Socket asks of a handle.

    get isStreamBase(): boolean {
      this.isTaken = true;
      return true;
    }

    get bytesRead(): number {
      return this.transport.stream.read;
    }

    get bytesWritten(): number {
      return this.transport.stream.written;
    }

    get writeQueueSize(): number {
      const { pending } = this.transport.stream;
      return pending.reduce((sum, { bytes, done }) => sum + bytes.length - done, 0);
    }

    readStart(): number {
      this.transport.setReading(true);
      return 0;
    }

    readStop(): number {
      this.transport.setReading(false);
      return 0;
    }

    useUserBuffer(buffer: Uint8Array): void {
      this.userBuffer = buffer;
    }

    writeBuffer(request: WriteRequest, bytes: Uint8Array): number {
      return this.send(bytes, (status) => request.oncomplete(status, this, undefined));
    }

    writev(request: WriteRequest, chunks: Chunks, allBuffers: boolean): number {
      const all = buffersOf(chunks, allBuffers);
      const urgent = all.findLastIndex(isUrgent);
      // The one write that is lost after the peer has closed must not be half of this one.
      if (urgent < 0 || this.transport.stream.hasPeerClosed) {
        return this.writeBuffer(request, Buffer.concat(all));
      }
      const [first, rest] = [all.slice(0, urgent + 1), all.slice(urgent + 1)].map((each) =>
        Buffer.concat(each),
      ) as [Buffer, Buffer];
      markUrgent(first);
      if (rest.length === 0) return this.writeBuffer(request, first);
      this.transport.write(first, () => {}, true);
      const status = this.writeBuffer(request, rest);
      state[kBytesWritten] = first.length + rest.length;
      return status;
    }

    writeLatin1String(request: WriteRequest, text: string): number {
      return this.sendString(request, text, 'latin1', text.length);
    }

    writeAsciiString(request: WriteRequest, text: string): number {
      return this.sendString(request, text, 'latin1', text.length);
    }

    writeUtf8String(request: WriteRequest, text: string): number {
      return this.sendString(request, text, 'utf8', Buffer.byteLength(text));
    }

    writeUcs2String(request: WriteRequest, text: string): number {
      return this.writeBuffer(request, Buffer.from(text, 'utf16le'));
    }

    shutdown(request: ShutdownRequest): number {
      this.finish((status) => request.oncomplete(status));
      return 0;
    }

    close(done?: () => void): void {
      this.transport.end(false, done);
    }

    reset(done?: () => void): number {
      this.transport.end(true, done);
      return 0;
    }

    ref(): void {
      this.transport.setRef(true);
    }

    unref(): void {
      this.transport.setRef(false);
    }

    hasRef(): boolean {
      return this.transport.hasRef();
    }

    getsockname(out: SocketName): number {
      return this.transport.leg.getsockname(out);
    }

    getpeername(out: SocketName): number {
      return this.transport.leg.getpeername(out);
    }

    setNoDelay(on: boolean): number {
      return this.transport.leg.setNoDelay(on);
    }

    setKeepAlive(...values: unknown[]): number {
      return this.transport.leg.setKeepAlive(...values);
    }

    setTypeOfService(value: number): number {
      return this.transport.leg.setTypeOfService?.(value) ?? 0;
    }

    getTypeOfService(): number {
      return this.transport.leg.getTypeOfService?.() ?? 0;
    }

    setBlocking(): number {
      return 0;
    }

    handOver(): TcpHandle | undefined {
      const leg = this.isTaken ? undefined : this.transport.handOver();
      if (leg === undefined) return undefined;
      leg.onread = this.onread;
      leg.reading = false;
      if (this.userBuffer !== undefined) leg.useUserBuffer(this.userBuffer);
      return leg;
    }

    // What those ask who have taken the handle over below JavaScript.

    onreadstart(): number {
      this.isTaken = true;
      return this.readStart();
    }

    onreadstop(): number {
      return this.readStop();
    }

    onwrite(request: WriteRequest, buffers: readonly Uint8Array[]): number {
      this.isTaken = true;
      const finish = (status: number) => this.finishWrite(request, status);
      const bytes = buffers.length === 1 ? buffers[0]! : Buffer.concat(buffers);
      const problem = this.send(bytes, finish);
      // JSStream calls back for all writes, but for those that fail at once.
      if (problem === 0 && state[kLastWriteWasAsync] === 0) {
        if (this.written.length === 0) process.nextTick(() => this.tellWritten());
        this.written.push(request);
      }
      return problem;
    }

    /**
     * Before anything else is read, and before the program hears of what was: while a write is under way, TLS does not
     * tell the peer of an error, and HTTP/2 does not send what a stream has that is destroyed.
     */
    private tellWritten(): void {
      for (const request of this.written.splice(0)) this.finishWrite(request, 0);
    }

    onshutdown(request: ShutdownRequest): number {
      this.finish((status) => this.finishShutdown(request, status));
      return 0;
    }

    // What the transport brings.

    get most(): number {
      return this.userBuffer?.length ?? Number.POSITIVE_INFINITY;
    }

    onBytes(reader: RingReader, count: number): void {
      if (this.isTaken) {
        // Who has taken the handle over gets copies.
        const bytes = Buffer.allocUnsafe(count);
        reader.takeInto(bytes);
        this.readBuffer(bytes);
        if (this.written.length > 0) this.tellWritten();
        countGiven(count);
      } else if (this.userBuffer === undefined) {
        this.give(count, reader.take(count));
        countGiven(count);
      } else {
        reader.takeInto(this.userBuffer.subarray(0, count));
        this.give(count);
      }
    }

    onTcpBytes(bytes: Uint8Array): void {
      if (this.isTaken) {
        this.readBuffer(bytes);
        return;
      }
      for (let at = 0; at < bytes.length; ) {
        const part = bytes.subarray(at, at + Math.min(this.most, bytes.length - at));
        at += part.length;
        this.userBuffer?.set(part);
        this.give(part.length, this.userBuffer === undefined ? part : undefined);
      }
    }

    onUrgent(byte: number): void {
      const owner = ownerOf(this);
      if (owner !== undefined) this.resource.runInAsyncScope(owner.emit, owner, 'urgent', byte);
    }

    onEnd(): void {
      if (this.isTaken) this.emitEOF();
      else this.give(UV_EOF);
    }

    onReset(): void {
      this.onError(UV_ECONNRESET);
    }

    onError(status: number): void {
      if (!this.isTaken) {
        this.give(status);
        return;
      }
      const code = status === UV_ECONNRESET ? 'ECONNRESET' : 'EPIPE';
      const details = { code, errno: status, syscall: 'read' };
      ownerOf(this)?.destroy(Object.assign(new Error(`read ${code}`), details));
    }

    /** @param bytes where they are not in the user's buffer */
    private give(count: number, bytes?: Uint8Array): void {
      this.resource.runInAsyncScope(this.giveNow, this, count, bytes);
    }

    private giveNow(count: number, bytes: Uint8Array | undefined): void {
      state[kReadBytesOrError] = count;
      state[kArrayBufferOffset] = bytes?.byteOffset ?? 0;
      const next = this.onread(bytes?.buffer as ArrayBuffer | undefined);
      if (this.userBuffer !== undefined && next instanceof Uint8Array) this.userBuffer = next;
    }

    // Writing.

    private send(bytes: Uint8Array, complete: (status: number) => void): number {
      const done = (failure?: keyof typeof failures) => {
        const status = failure === undefined ? 0 : failures[failure];
        this.resource.runInAsyncScope(complete, null, status);
      };
      const sent = this.transport.write(bytes, done, isUrgent(bytes));
      state[kBytesWritten] = bytes.length;
      state[kLastWriteWasAsync] = sent === 'waiting' ? 1 : 0;
      return results[sent];
    }

    private sendString(
      request: WriteRequest,
      text: string,
      encoding: 'latin1' | 'utf8',
      length: number,
    ): number {
      if (!this.transport.writeString(text, encoding, length)) {
        return this.writeBuffer(request, Buffer.from(text, encoding));
      }
      state[kBytesWritten] = length;
      state[kLastWriteWasAsync] = 0;
      return 0;
    }

    private finish(done: (status: number) => void): void {
      this.transport.finish(() => this.resource.runInAsyncScope(done, null, 0));
    }
  };
}

function buffersOf(chunks: Chunks, allBuffers: boolean): readonly Uint8Array[] {
  if (allBuffers) return chunks as readonly Uint8Array[];
  const all: Buffer[] = [];
  for (let at = 0; at < chunks.length; at += 2) {
    const chunk = chunks[at]!;
    const encoding = chunks[at + 1] as BufferEncoding;
    all.push(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : (chunk as Buffer));
  }
  return all;
}
