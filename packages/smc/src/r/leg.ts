import type { Socket } from 'node:net';
import { SmcError } from '../errors.ts';
import type { SmcRSocket } from './socket.ts';

/** How long a connection may be told over RoCE what its TCP connection tells already. */
const GRACE = 2000;

/**
 * Keeps the TCP connection of the handshake as long as the one over RoCE, which it shows the end of: a
 * process that was killed says nothing over RoCE, its kernel does over TCP.
 */
export function tieLeg(tcp: Socket, socket: SmcRSocket): void {
  const gone = () => {
    if (socket.isEnding) return;
    const error = new SmcError('SMC_LINK_LOST', 'Cannot go on with a connection: the peer is gone');
    setTimeout(() => socket.isEnding || socket.lose(error), GRACE).unref();
  };
  tcp.on('end', gone).on('close', gone);
  // What goes wrong there closes it, too.
  tcp.on('error', () => {});
  tcp.resume();
  socket.on('finish', () => tcp.end());
  socket.on('close', () => tcp.destroySoon());
}
