/**
 * Node's `net`, whose connections go through shared memory where both ends can.
 *
 * @example
 * import net from '@anole/smc/net';
 * const server = net.createServer((socket) => socket.pipe(socket)).listen(7000);
 * const socket = net.connect(7000);
 * socket.on('connect', () => console.log(net.smcState(socket)));
 */
import net, {
  type NetConnectOpts,
  type Server as NetServer,
  type Socket as NetSocket,
  type ServerOpts,
} from 'node:net';
import type { HandledServer } from './socket/internals.ts';
import { hookSockets, listenWithSmc } from './socket/register.ts';
import { smcState } from './socket/state.ts';
import { writeUrgent } from './socket/urgent.ts';

/** A `net.Socket` that connects through shared memory where it can. */
export class Socket extends net.Socket {}

/** A `net.Server` that takes connections through shared memory beside TCP. */
export class Server extends net.Server {
  /** Called by `net` when it listens; other packages wrap it, too. */
  _listen2(...args: unknown[]): void {
    const { _listen2: listen } = net.Server.prototype as unknown as {
      _listen2: (this: NetServer, ...args: unknown[]) => void;
    };
    const listenPlainly = () => listen.apply(this, args);
    if (isHooked) listenWithSmc(this as unknown as HandledServer, listenPlainly);
    else listenPlainly();
  }
}

const isHooked = hookSockets((socket) => socket instanceof Socket);

type Listener = (socket: NetSocket) => void;

export function createServer(options?: ServerOpts | Listener, listener?: Listener): Server {
  return new Server(options as ServerOpts, listener);
}

export function connect(options: NetConnectOpts, listener?: () => void): Socket;
export function connect(port: number, host?: string, listener?: () => void): Socket;
export function connect(port: number, listener?: () => void): Socket;
export function connect(...args: unknown[]): Socket {
  const [options] = args;
  const isOptions = typeof options === 'object' && options !== null;
  const socket = new Socket(isOptions ? (options as NetConnectOpts) : {});
  return (socket.connect as (...all: unknown[]) => Socket)(...args);
}

export const createConnection: typeof connect = (...args: unknown[]) =>
  Reflect.apply(connect, undefined, args);
export { smcState, writeUrgent };

export default {
  ...net,
  Socket,
  Stream: Socket,
  Server,
  createServer,
  connect,
  createConnection,
  smcState,
  writeUrgent,
};
