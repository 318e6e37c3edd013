import { AsyncResource } from 'node:async_hooks';
import { type Server, Socket } from 'node:net';

/**
 * The inside of Node that this package relies on: handles below `net`, reached by `process.binding`.
 * All of it is here, and is looked at once: where something is missing, connections stay on TCP.
 * See docs/decisions/0152-handles-below-sockets.md.
 */
export interface StreamHandle {
  onread: (buffer?: ArrayBuffer) => unknown;
  reading?: boolean;
  readonly fd: number;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  shutdown(request: ShutdownRequest): number;
  close(done?: () => void): void;
  ref(): void;
  unref(): void;
  hasRef(): boolean;
}

export interface PipeHandle extends StreamHandle {
  open(fd: number): number;
}

export interface SocketName {
  address?: string;
  family?: string;
  port?: number;
}

export interface TcpHandle extends StreamHandle {
  /** Takes over a descriptor of a socket. */
  open(fd: number): number;
  getsockname(out: SocketName): number;
  getpeername(out: SocketName): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(...values: unknown[]): number;
  setTypeOfService?(value: number): number;
  getTypeOfService?(): number;
  reset(done?: () => void): number;
}

export interface WriteRequest {
  handle?: unknown;
  oncomplete(status: number, handle?: unknown, error?: unknown): void;
}

export interface ShutdownRequest {
  oncomplete(status: number): void;
}

export interface ConnectRequest {
  oncomplete?: (
    status: number,
    handle: unknown,
    request: ConnectRequest,
    readable: boolean,
    writable: boolean,
  ) => void;
}

export type ConnectMethod = (
  this: TcpHandle,
  request: ConnectRequest,
  address: string,
  port: number,
) => number;

export type BindMethod = (this: TcpHandle, address: string, port: number, flags: number) => number;

interface Bindings {
  readonly tcp_wrap: {
    readonly TCP: {
      prototype: Record<'connect' | 'connect6', ConnectMethod> &
        Record<'bind' | 'bind6', BindMethod>;
    };
  };
  readonly pipe_wrap: {
    readonly Pipe: new (type: number) => PipeHandle;
    readonly constants: { readonly SOCKET: number };
  };
  readonly stream_wrap: {
    readonly WriteWrap: new () => WriteRequest;
    readonly ShutdownWrap: new () => ShutdownRequest;
    readonly streamBaseState: Int32Array;
    readonly kReadBytesOrError: number;
    readonly kArrayBufferOffset: number;
    readonly kBytesWritten: number;
    readonly kLastWriteWasAsync: number;
  };
  readonly js_stream: { readonly JSStream: new () => JsStream };
  readonly uv: Readonly<
    Record<'UV_EOF' | 'UV_ECONNRESET' | 'UV_ECANCELED' | 'UV_EPIPE' | 'UV_EBADF', number>
  >;
}

/** A handle that is implemented in JavaScript, which TLS and HTTP/2 can lie upon. */
export interface JsStream {
  onread: (buffer?: ArrayBuffer) => unknown;
  /** Hands bytes, which are copied, to whoever has taken the handle. */
  readBuffer(bytes: Uint8Array): void;
  emitEOF(): void;
  finishWrite(request: WriteRequest, status: number): void;
  finishShutdown(request: ShutdownRequest, status: number): void;
  getAsyncId(): number;
}

export interface Internals {
  readonly tcp: Bindings['tcp_wrap'];
  readonly pipe: Bindings['pipe_wrap'];
  readonly stream: Bindings['stream_wrap'];
  readonly JSStream: Bindings['js_stream']['JSStream'];
  readonly uv: Bindings['uv'];
  /** Runs what `process.nextTick` and promises have waiting, as Node does after each event. */
  runTicks(): void;
}

let found: Internals | undefined;
let looked = false;

/** @throws Error where this Node has another inside */
export function internals(): Internals {
  const all = tryInternals();
  if (all === undefined) throw new Error(`Node ${process.version} has another inside`);
  return all;
}

export function tryInternals(): Internals | undefined {
  if (looked) return found;
  looked = true;
  const inside = process as unknown as {
    binding<K extends keyof Bindings>(name: K): Bindings[K];
    _tickCallback?: () => void;
  };
  try {
    const tcp = inside.binding('tcp_wrap');
    const pipe = inside.binding('pipe_wrap');
    const stream = inside.binding('stream_wrap');
    const { JSStream } = inside.binding('js_stream');
    const uv = inside.binding('uv');
    const runTicks = inside._tickCallback;
    const isWhole =
      typeof tcp.TCP.prototype.connect === 'function' &&
      typeof tcp.TCP.prototype.connect6 === 'function' &&
      typeof tcp.TCP.prototype.bind6 === 'function' &&
      typeof JSStream.prototype.readBuffer === 'function' &&
      typeof pipe.Pipe === 'function' &&
      stream.streamBaseState?.length > stream.kLastWriteWasAsync &&
      typeof uv.UV_EOF === 'number';
    if (isWhole && runTicks !== undefined) found = { tcp, pipe, stream, JSStream, uv, runTicks };
  } catch {
    // The permission model, or a Node without it.
  }
  return found;
}

/** What a socket knows its handle by. */
export interface Handled {
  _handle: unknown;
}

export type HandledSocket = Socket & Handled & Record<symbol, unknown>;
export type HandledServer = Server & Handled;

let owner: symbol | undefined;

/** The symbol under which a handle of `net` has its socket or server. */
function ownerSymbol(handle: object): symbol | undefined {
  owner ??= Object.getOwnPropertySymbols(handle).find(
    ({ description }) => description === 'owner_symbol',
  );
  return owner;
}

export function ownerOf(handle: object): HandledSocket | undefined {
  const symbol = ownerSymbol(handle);
  return (symbol && (handle as Record<symbol, HandledSocket | null>)[symbol]) ?? undefined;
}

/** @param like a handle that has an owner already */
export function setOwner(handle: object, socket: HandledSocket, like: object): void {
  const symbol = ownerSymbol(like)!;
  (handle as Record<symbol, unknown>)[symbol] = socket;
}

/**
 * Calls back with the socket that a handle gets, before anybody else sees it.
 *
 * @param like a handle that has an owner already
 */
export function onOwner(
  handle: object,
  like: object,
  found: (socket: HandledSocket) => void,
): void {
  const symbol = ownerSymbol(like);
  if (symbol === undefined) return;
  Object.defineProperty(handle, symbol, {
    configurable: true,
    get: () => undefined,
    set: (value: HandledSocket) => {
      Object.defineProperty(handle, symbol, { value, configurable: true, writable: true });
      found(value);
    },
  });
}

/**
 * What `net.Socket` asks of a TCP handle by its class: resetting. Moving such a socket to another
 * process or thread stays refused.
 *
 * @param isOurs whether a handle is to be treated as a TCP one
 */
export function adoptHandles(isOurs: (handle: unknown) => boolean): void {
  const prototype = Socket.prototype as unknown as Record<string, (this: HandledSocket) => unknown>;
  const original = prototype['resetAndDestroy']!;
  prototype['resetAndDestroy'] = function resetAndDestroy(
    this: HandledSocket & { _reset?(): void },
  ) {
    if (this._reset === undefined || !isOurs(this._handle)) return original.call(this);
    this._reset();
    return this;
  };
}

let bufferSymbol: symbol | undefined;

/** Of a socket with the option `onread`: the buffer it wants bytes in. */
export function bufferOf(socket: HandledSocket): Uint8Array | undefined {
  bufferSymbol ??= Object.getOwnPropertySymbols(socket).find(
    ({ description }) => description === 'kBuffer',
  );
  const buffer = bufferSymbol && socket[bufferSymbol];
  return buffer instanceof Uint8Array ? buffer : undefined;
}

/** Whether TLS or HTTP/2 has taken a handle over below JavaScript. */
export function isTakenOver(handle: object): boolean {
  return Object.getOwnPropertyDescriptor(handle, 'reading')?.get !== undefined;
}

/** In whose name callbacks of a connection run: what was current when it was made. */
export const asyncResource = (): AsyncResource => new AsyncResource('SMCWRAP');
