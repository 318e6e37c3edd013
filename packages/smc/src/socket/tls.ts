import { createRequire } from 'node:module';
import net from 'node:net';
import { isOnThisHost } from './address.ts';
import { currentPolicy } from './policy.ts';

type Connect = (...args: unknown[]) => unknown;

/**
 * TLS clients make their TCP handle below JavaScript, where it cannot be exchanged; over a socket that
 * has no handle yet they go through JavaScript. That way is the longer one, so only connections to
 * this host take it, and those that the kernel's SMC may do.
 */
export function hookTls(): void {
  const require = createRequire(import.meta.url);
  const tls = require('node:tls') as { connect: Connect };
  const connect = tls.connect;
  tls.connect = function connectTls(...args) {
    const options = tlsOptions(args);
    if (options === undefined || !mayShare(options)) return connect.apply(this, args);
    // TLS ends it. If it ended itself, the farewell of TLS would be an error of writing.
    const socket = new net.Socket({ allowHalfOpen: true });
    const listener = args.find((each) => typeof each === 'function');
    const secure = connect.call(this, { ...options, socket }, listener) as net.Socket;
    // Which it has taken from the socket.
    secure.allowHalfOpen = options.allowHalfOpen ?? false;
    // It may be destroyed before there is a connection.
    secure.once('close', () => socket.destroy());
    if (options.timeout !== undefined) secure.setTimeout(options.timeout);
    socket.connect(options as net.TcpNetConnectOpts);
    // Connecting takes back what `write` is.
    readAfterHello(socket);
    return secure;
  };
}

/**
 * Has the answer to TLS's first message wait until TLS has heard that it is written, which Node's stream between them
 * tells a turn of the loop later. Over shared memory the answer may come before that, and where TLS refuses it, it does
 * not tell the peer while a write is under way. Later messages do not wait, for that would cost each of them a turn.
 */
function readAfterHello(socket: net.Socket): void {
  const { push, write } = socket as net.Socket & { write: WriteBytes };
  const held: unknown[] = [];
  let waits = 0;
  const release = () => {
    if (--waits > 0) return;
    socket.push = push;
    for (const each of held.splice(0)) push.call(socket, each);
  };
  const hold = () => {
    waits++;
    setImmediate(release);
  };
  socket.write = ((bytes, done) => {
    socket.write = write as net.Socket['write'];
    socket.push = (each: unknown) => held.push(each) > 0;
    // Until the callback, or a turn long: where a write waits for room, the peer must be read.
    hold();
    return write.call(socket, bytes, (error) => {
      done?.(error);
      if (waits > 0) hold();
    });
  }) satisfies WriteBytes as net.Socket['write'];
}

type WriteBytes = (bytes: Uint8Array, done?: (error?: Error | null) => void) => boolean;

interface TlsOptions {
  readonly port?: number | string;
  readonly host?: string;
  readonly path?: string;
  readonly socket?: unknown;
  readonly onread?: unknown;
  readonly timeout?: number;
  readonly allowHalfOpen?: boolean;
}

/** The options of `tls.connect([port][, host][, options][, listener])`. */
function tlsOptions(args: readonly unknown[]): TlsOptions | undefined {
  const given = args.find((each): each is TlsOptions => typeof each === 'object' && each !== null);
  const [first, second] = args;
  const isPort = typeof first === 'number' || (typeof first === 'string' && /^\d+$/.test(first));
  const port = isPort ? { port: first } : {};
  const host = isPort && typeof second === 'string' ? { host: second } : {};
  return { ...given, ...port, ...host };
}

function mayShare({ port, host, path, socket, onread }: TlsOptions): boolean {
  if (socket || path || onread || port === undefined) return false;
  if (currentPolicy().kernel) return true;
  return !host || host === 'localhost' || (net.isIP(host) !== 0 && isOnThisHost(host));
}
