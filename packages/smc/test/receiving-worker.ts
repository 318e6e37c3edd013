// A process that is given sockets by passing.test.ts, and echoes what it reads from them.
import type { Socket } from 'node:net';

process.on('message', (_, socket: Socket | undefined) => {
  if (socket === undefined) return;
  socket.on('error', () => {});
  socket.pipe(socket);
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
