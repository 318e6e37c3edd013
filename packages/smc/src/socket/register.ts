import net from 'node:net';
import { guardThreads } from '@anole/host/threads';
import { offerSmc } from './accept.ts';
import { hookConnect } from './connect.ts';
import { type HandledServer, type HandledSocket, tryInternals } from './internals.ts';
import { listenByKernel } from './kernel.ts';
import { hookPassing } from './passing.ts';
import { offerReport } from './report.ts';
import { type SmcState, smcState } from './state.ts';

declare module 'node:net' {
  interface Socket {
    /** What its bytes go over, and why. Undefined where `@anole/smc/register` is not loaded. */
    readonly smc?: SmcState | undefined;
  }
}

type Listen = (this: HandledServer, ...args: unknown[]) => void;

/**
 * Has connections that sockets make use shared memory where both ends can, if `isWanted` says so of the socket.
 *
 * @returns false where this Node has another inside
 */
export function hookSockets(isWanted: (socket: HandledSocket) => boolean): boolean {
  if (tryInternals() === undefined) return false;
  guardThreads();
  hookConnect(isWanted);
  hookPassing();
  return true;
}

/** Has a server listen by `listen`, and take connections over shared memory beside TCP. */
export function listenWithSmc(server: HandledServer, listen: () => void): void {
  listenByKernel(listen);
  if (!isClusterPrimary(server)) offerSmc(server);
}

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
  if (!hookSockets(() => true)) return;
  const servers = net.Server.prototype as unknown as { _listen2: Listen };
  const listen = servers._listen2;
  servers._listen2 = function listenHooked(...args) {
    listenWithSmc(this, () => listen.apply(this, args));
  };
}

/** A cluster's primary listens for its workers, by a server that must not get connections. */
function isClusterPrimary(server: HandledServer): boolean {
  const [listener] = server.listeners('connection');
  return listener !== undefined && listener.name === 'fail';
}
