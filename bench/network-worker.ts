/** Servers that measure what a guest does with them, apart from the thread that the guest runs in. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';

/** A figure of one connection. */
export interface Measured {
  readonly name: 'upload' | 'download' | 'latency';
  /** MB/s, or ms. */
  readonly value: number;
}

const mega = 1e6;
const downloadBytes = 64 * mega;
const pings = 500;

const tell = (measured: Measured) => parentPort!.postMessage(measured);

/** Takes all that comes. */
const sink = createServer((socket) => {
  const begun = performance.now();
  let bytes = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
  });
  socket.on('end', () => {
    tell({ name: 'upload', value: bytes / mega / ((performance.now() - begun) / 1000) });
    socket.end();
  });
});

/** Gives bytes until there are enough, and waits for the guest to have taken them. */
const source = createServer({ allowHalfOpen: true }, (socket) => {
  const begun = performance.now();
  const chunk = Buffer.alloc(65536, 1);
  let left = downloadBytes;
  const give = () => {
    while (left > 0) {
      left -= chunk.length;
      if (!socket.write(chunk)) {
        socket.once('drain', give);
        return;
      }
    }
    socket.end();
  };
  give();
  socket.resume();
  socket.on('end', () => {
    const seconds = (performance.now() - begun) / 1000;
    tell({ name: 'download', value: downloadBytes / mega / seconds });
  });
});

/** Sends a byte, which the guest sends back, again and again. */
const pinger = createServer((socket) => {
  socket.setNoDelay(true);
  const times: number[] = [];
  let sent = 0;
  const ping = () => {
    sent = performance.now();
    socket.write('x');
  };
  socket.on('data', () => {
    times.push(performance.now() - sent);
    if (times.length < pings) {
      ping();
      return;
    }
    times.sort((a, b) => a - b);
    tell({ name: 'latency', value: times[pings >> 1]! });
    socket.end();
  });
  ping();
});

async function listen(server: Server): Promise<number> {
  server.on('connection', (socket: Socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const ports = { sink: 0, source: 0, pinger: 0 };
ports.sink = await listen(sink);
ports.source = await listen(source);
ports.pinger = await listen(pinger);
parentPort!.postMessage(ports);
