// A server in a process of its own, for the tests of sockets: what it does is its first argument.
import net from 'node:net';

const behaviours: Readonly<Record<string, (socket: net.Socket) => void>> = {
  echo(socket) {
    socket.on('data', (bytes) => {
      if (!socket.write(bytes)) {
        socket.pause();
        socket.once('drain', () => socket.resume());
      }
    });
    socket.on('end', () => socket.end());
  },
  /** Takes nothing. */
  silent(socket) {
    socket.pause();
  },
  /** Answers the first bytes, and is gone. */
  dying(socket) {
    socket.once('data', () => socket.write('last words', () => process.exit(0)));
  },
  /** The same with more than is read in one turn. */
  leaving(socket) {
    socket.once('data', () => socket.write(pattern(0, 3_000_000), () => process.exit(0)));
  },
  killed(socket) {
    socket.once('data', () => process.kill(process.pid, 'SIGKILL'));
  },
  resetting(socket) {
    socket.once('data', () => socket.resetAndDestroy());
  },
  /** Gives as many bytes as it was asked for, in pieces of odd sizes, and ends. */
  giving(socket) {
    socket.once('data', (bytes) => {
      const count = Number(bytes.toString());
      for (let at = 0; at < count; ) {
        const part = Math.min(1 + ((at * 7919) % 50_000), count - at);
        socket.write(pattern(at, part));
        at += part;
      }
      socket.end();
    });
  },
};

/** Bytes of a stream in which every place has a byte of its own, nearly. */
export function pattern(from: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  for (let at = 0; at < count; at++) bytes[at] = ((from + at) * 2654435761) >>> 24;
  return bytes;
}

const behaviour = behaviours[process.argv[2] ?? ''];
if (process.send !== undefined && behaviour !== undefined) {
  const states: unknown[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    states.push(socket.smc);
    socket.on('error', () => {});
    behaviour(socket);
  });
  server.listen(0, '127.0.0.1', () => {
    process.send?.({ port: (server.address() as net.AddressInfo).port });
  });
  process.on('message', () => process.send?.({ states }));
  process.on('disconnect', () => process.exit(0));
}
