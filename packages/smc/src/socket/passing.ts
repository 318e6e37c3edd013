import { ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import { SmcError } from '../errors.ts';
import { isSmcHandle, type SmcHandle } from './handle.ts';
import { type HandledSocket, setOwner } from './internals.ts';

/** A process at the other end of an IPC channel: a child, or of a child its parent. */
interface IpcTarget {
  _send?: Send;
  emit(name: 'error', error: Error): boolean;
}

type Send = (
  this: IpcTarget,
  message: unknown,
  handle?: unknown,
  options?: unknown,
  callback?: unknown,
) => boolean;

let isHooked = false;

/**
 * Has sockets that are given to another process (`child.send`, `process.send`) or thread (`postMessage`)
 * leave shared memory first, which is that of this thread: what Node passes is their TCP connection. See
 * docs/decisions/0170-a-connection-can-leave.md.
 */
export function hookPassing(): void {
  if (isHooked) return;
  isHooked = true;
  hookSend(process as unknown as IpcTarget);
  const prototype = ChildProcess.prototype as unknown as {
    spawn(this: IpcTarget, ...args: unknown[]): unknown;
  };
  const { spawn } = prototype;
  prototype.spawn = function spawnHooked(...args) {
    const result = spawn.apply(this, args);
    hookSend(this);
    return result;
  };
  hookTransfer();
}

/** An error goes where Node's own go: to the callback or, without one, to the event `error`. */
function hookSend(target: IpcTarget): void {
  const send = target._send;
  if (typeof send !== 'function') return;
  target._send = function sendOverTcp(message, handle, options, callback) {
    const keepOpen = (options as { keepOpen?: boolean } | undefined)?.keepOpen ?? false;
    if (!(handle instanceof Socket) || putOnTcp(handle as HandledSocket, keepOpen)) {
      return send.call(this, message, handle, options, callback);
    }
    const error = new SmcError(
      'SMC_NOT_PASSED',
      'Cannot pass a socket over shared memory: its peer has closed, or TLS or HTTP/2 has it',
    );
    process.nextTick(() => {
      if (typeof callback === 'function') callback(error);
      else this.emit('error', error);
    });
    return false;
  };
}

/** Node asks a socket for what moves with it; one that cannot go keeps a handle that Node refuses. */
function hookTransfer(): void {
  const prototype = Socket.prototype as unknown as Record<
    symbol,
    (this: HandledSocket) => unknown[]
  >;
  const symbol = Object.getOwnPropertySymbols(prototype).find(
    ({ description }) => description === 'messaging_transfer_list_symbol',
  );
  // Since Node 24.19 or so.
  if (symbol === undefined) return;
  const original = prototype[symbol]!;
  prototype[symbol] = function transferList(this: HandledSocket) {
    // Only unused ones are moved, and Node looks for that at the TCP handle, which always is.
    if (this.bytesRead === 0 && this.bytesWritten === 0) putOnTcp(this);
    return original.call(this);
  };
}

/**
 * @param staysHere whether this end goes on reading, too
 * @returns whether the socket is over TCP now, or was all along
 */
function putOnTcp(socket: HandledSocket, staysHere = false): boolean {
  if (!isSmcHandle(socket._handle)) return true;
  const handle = socket._handle as SmcHandle;
  const leg = handle.handOver();
  if (leg === undefined) return false;
  setOwner(leg, socket, handle);
  socket._handle = leg;
  if (staysHere && handle.reading) {
    leg.reading = true;
    leg.readStart();
  }
  return true;
}
