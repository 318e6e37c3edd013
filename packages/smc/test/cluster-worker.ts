// A cluster whose workers echo, for the tests of sockets.
import cluster from 'node:cluster';
import net, { type AddressInfo } from 'node:net';

if (cluster.isPrimary) {
  const workers = [cluster.fork(), cluster.fork()];
  let listening = 0;
  cluster.on('listening', (_, { port }) => {
    if (++listening === workers.length) process.send?.({ port });
  });
  process.on('disconnect', () => {
    for (const each of workers) each.process.kill();
    process.exit();
  });
} else {
  const server = net.createServer((socket) => {
    socket.on('data', (bytes) => socket.write(`${process.pid}:${bytes}`));
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1', () => (server.address() as AddressInfo).port);
}
