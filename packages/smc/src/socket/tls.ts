import { Socket } from 'node:net';
import type { SmcHandle } from './handle.ts';
import { type HandledSocket, ownerOf, setOwner, type TcpHandle } from './internals.ts';

/** The handle of a socket that does TLS: it lies upon another. */
interface TlsHandle {
  readonly _parent?: object;
  close(): void;
  destroySSL(): void;
  enableKeylogCallback(): void;
  enableSessionCallbacks(): void;
}

/** What Node does where an attempt to connect fails, and the next one has a handle of its own. */
type Reinitialize = (this: HandledSocket, handle: unknown) => void;

let reinitialize: symbol | undefined;

/** Has TCP handles below TLS know their socket, also where Node exchanges them. */
export function hookTls(): void {
  reinitialize = Object.getOwnPropertySymbols(Socket.prototype).find(
    ({ description }) => description === 'kReinitializeHandle',
  );
  if (reinitialize === undefined) return;
  const prototype = Socket.prototype as unknown as Record<symbol, Reinitialize>;
  const original = prototype[reinitialize]!;
  prototype[reinitialize] = function reinitializeHandle(handle) {
    original.call(this, handle);
    const upper = this._handle as TlsHandle;
    const lower = upper._parent;
    if (lower !== undefined && ownerOf(lower) === undefined) setOwner(lower, this, upper);
  };
}

/** Whether a client does TLS by itself upon a handle of its own, which can be exchanged below it. */
export function isBelowTls(handle: TcpHandle, socket: HandledSocket): boolean {
  const upper = socket._handle as TlsHandle | null;
  const isUpon = upper?._parent === handle && typeof upper.destroySSL === 'function';
  return isUpon && reinitialize !== undefined;
}

/**
 * Of such a client: has TLS, which has not begun, lie upon a handle of shared memory in the place of the TCP one. See
 * docs/decisions/0172-tls-upon-shared-memory.md.
 */
export function putTlsUpon(handle: SmcHandle, socket: HandledSocket): void {
  const before = socket._handle as TlsHandle;
  // It would close the TCP connection as well, which is the other handle's now.
  before.close = () => before.destroySSL();
  const restore = keepAsItIs(socket);
  try {
    (socket[reinitialize!] as Reinitialize).call(socket, handle);
  } finally {
    restore();
  }
  // What follows Node does not carry over.
  const upper = socket._handle as TlsHandle;
  Object.assign(socket, { ssl: upper });
  if (socket.listenerCount('keylog') > 0) upper.enableKeylogCallback();
  if (socket.listenerCount('session') > 0) upper.enableSessionCallbacks();
}

/**
 * Has Node leave alone what is not the handle's: that the program has ended what it writes, and the buffer that it wants
 * bytes in (the option `onread`), of which it would be asked for another.
 */
function keepAsItIs(socket: HandledSocket): () => void {
  const ending = socket as { _undestroy?: () => void };
  ending._undestroy = () => {};
  const symbol = Object.getOwnPropertySymbols(socket).find(
    ({ description }) => description === 'kBufferGen',
  );
  const generator = symbol && socket[symbol];
  if (symbol !== undefined) socket[symbol] = null;
  return () => {
    delete ending._undestroy;
    if (symbol !== undefined) socket[symbol] = generator;
  };
}
