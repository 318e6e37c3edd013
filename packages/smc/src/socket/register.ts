import { createRequire, syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { hasNative } from '@anole/host/native';
import { offerSmc } from './accept.ts';
import { isOnThisHost } from './address.ts';
import { hookConnect } from './connect.ts';
import { type HandledServer, type HandledSocket, tryInternals } from './internals.ts';
import { listenByKernel } from './kernel.ts';
import { hookPassing } from './passing.ts';
import { currentPolicy } from './policy.ts';
import { offerReport } from './report.ts';
import { type SmcState, smcState } from './state.ts';

/** Whether connections of this process can go through shared memory at all. */
export function canShare(): boolean {
  return tryInternals() !== undefined && hasNative();
}

declare module 'node:net' {
  interface Socket {
    /** What its bytes go over, and why. Undefined where `@anole/smc/register` is not loaded. */
    readonly smc?: SmcState | undefined;
  }
}

type Listen = (this: HandledServer, ...args: unknown[]) => void;
type Connect = (...args: unknown[]) => unknown;

let isRegistered = false;

/** Has all of this thread's sockets use shared memory where both ends can. */
export function registerSmc(): void {
  if (isRegistered) return;
  isRegistered = true;
  Object.defineProperty(net.Socket.prototype, 'smc', {
    configurable: true,
    get(this: HandledSocket) {
      return smcState(this);
    },
  });
  offerReport();
  if (!canShare()) return;
  hookConnect(() => true);
  hookPassing();
  const servers = net.Server.prototype as unknown as { _listen2: Listen };
  const listen = servers._listen2;
  servers._listen2 = function listenWithSmc(...args) {
    listenByKernel(() => listen.apply(this, args));
    if (!isClusterPrimary(this)) offerSmc(this);
  };
  hookTls();
  syncBuiltinESMExports();
}

/** A cluster's primary listens for its workers, by a server that must not get connections. */
function isClusterPrimary(server: HandledServer): boolean {
  const [listener] = server.listeners('connection');
  return listener !== undefined && listener.name === 'fail';
}

/**
 * TLS clients make their TCP handle below JavaScript, where it cannot be exchanged; over a socket that
 * has no handle yet they go through JavaScript. That way is the longer one, so only connections to
 * this host take it, and those that the kernel's SMC may do.
 */
function hookTls(): void {
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
    if (options.timeout !== undefined) secure.setTimeout(options.timeout);
    socket.connect(options as net.TcpNetConnectOpts);
    return secure;
  };
}

interface TlsOptions {
  readonly port?: number | string;
  readonly host?: string;
  readonly path?: string;
  readonly socket?: unknown;
  readonly onread?: unknown;
  readonly timeout?: number;
}

/** The options of `tls.connect([port][, host][, options][, listener])`. */
function tlsOptions(args: readonly unknown[]): TlsOptions | undefined {
  const given = args.find((each): each is TlsOptions => typeof each === 'object' && each !== null);
  const [first, second] = args;
  const port = typeof first === 'number' || typeof first === 'string' ? { port: first } : {};
  const host = typeof second === 'string' ? { host: second } : {};
  return { ...given, ...port, ...host };
}

function mayShare({ port, host, path, socket, onread }: TlsOptions): boolean {
  if (socket || path || onread || port === undefined) return false;
  if (currentPolicy().kernel) return true;
  return !host || host === 'localhost' || (net.isIP(host) !== 0 && isOnThisHost(host));
}
