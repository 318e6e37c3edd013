// A server in a worker thread, for the tests of sockets.
import net, { type AddressInfo } from 'node:net';
import { parentPort } from 'node:worker_threads';

const server = net.createServer((socket) => socket.pipe(socket));
server.listen(0, '127.0.0.1', () => {
  parentPort?.postMessage((server.address() as AddressInfo).port);
});
