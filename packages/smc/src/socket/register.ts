import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { hasNative } from '@anole/host/native';
import { offerSmc } from './accept.ts';
import { hookConnect } from './connect.ts';
import { type HandledServer, type HandledSocket, tryInternals } from './internals.ts';
import { listenByKernel } from './kernel.ts';
import { hookPassing } from './passing.ts';
import { offerReport } from './report.ts';
import { type SmcState, smcState } from './state.ts';
import { hookTls } from './tls.ts';

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
