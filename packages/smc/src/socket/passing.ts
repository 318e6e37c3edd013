import { ChildProcess } from 'node:child_process';
import { SmcError } from '../errors.ts';
import { isSmcHandle } from './handle.ts';
import type { Handled } from './internals.ts';

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
 * Has `child.send(message, socket)` and `process.send` refuse sockets over shared memory, whose memory
 * is that of this process. Node would take their handle for one of libuv's, and read a descriptor out
 * of an object that has none. The error goes where Node's own errors of sending go: to the callback or,
 * without one, to the event `error`.
 */
export function refuseToPass(): void {
  if (isHooked) return;
  isHooked = true;
  guard(process as unknown as IpcTarget);
  const prototype = ChildProcess.prototype as unknown as {
    spawn(this: IpcTarget, ...args: unknown[]): unknown;
  };
  const { spawn } = prototype;
  prototype.spawn = function spawnGuarded(...args) {
    const result = spawn.apply(this, args);
    guard(this);
    return result;
  };
}

function guard(target: IpcTarget): void {
  const send = target._send;
  if (typeof send !== 'function') return;
  target._send = function sendGuarded(message, handle, options, callback) {
    if (!isOverMemory(handle)) return send.call(this, message, handle, options, callback);
    const error = new SmcError(
      'SMC_NOT_PASSED',
      'Cannot pass a socket over shared memory to another process',
      { hint: 'Have its server made with pauseOnConnect, or its port "off" in the policy.' },
    );
    process.nextTick(() => {
      if (typeof callback === 'function') callback(error);
      else this.emit('error', error);
    });
    return false;
  };
}

function isOverMemory(handle: unknown): boolean {
  if (typeof handle !== 'object' || handle === null) return false;
  return isSmcHandle(handle) || isSmcHandle((handle as Partial<Handled>)._handle);
}
