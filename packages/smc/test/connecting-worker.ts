// A client in a thread, for the tests of threads. It connects to the port in `workerData` over and over, so that it is
// in the middle of that whenever it is ended; and says when it begins to load the add-on for that.
import Module from 'node:module';
import net from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const loader = Module as unknown as { _load(name: string, ...rest: unknown[]): unknown };
const load = loader._load;
loader._load = (name, ...rest) => {
  if (name.startsWith('@koromix/')) parentPort?.postMessage('loads');
  return load(name, ...rest);
};

function connect(): void {
  const socket = net.connect(workerData as number, '127.0.0.1');
  socket.on('data', (bytes) => {
    parentPort?.postMessage([String(bytes), socket.smc?.reason?.name ?? socket.smc?.transport]);
    socket.destroy();
  });
  socket.on('close', connect);
  socket.on('error', () => {});
  socket.write('hello');
}

connect();
