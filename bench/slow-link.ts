import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A link between loopback and something slower. */
export interface SlowLink extends AsyncDisposable {
  /** Where the other end is found: `localhost:PORT`. */
  readonly host: string;
  /** Bytes that came from the far end. */
  readonly received: () => number;
}

/**
 * Connects a port of this computer with another through a link of so many bits a second, shared by all
 * connections, and so many milliseconds each way.
 */
export async function slowLink(port: number, bits: number, delay: number): Promise<SlowLink> {
  let received = 0;
  // When the link will have sent all that was given to it, each way.
  const free = { up: 0, down: 0 };
  const sockets = new Set<Socket>();
  const carry = async (from: Socket, to: Socket, way: keyof typeof free) => {
    // Each piece is written after the one before it, however timers are rounded.
    let written: Promise<unknown> = Promise.resolve();
    const later = (arrives: number, act: () => void) => {
      written = written.then(() => until(arrives)).then(act);
    };
    for await (const piece of from as AsyncIterable<Buffer>) {
      if (way === 'down') received += piece.length;
      const start = Math.max(free[way], performance.now());
      free[way] = start + (piece.length * 8000) / bits;
      later(free[way] + delay, () => to.write(piece));
      // What the link has no room for waits at its beginning.
      await until(start);
    }
    later(0, () => to.end());
  };
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true).on('close', () => sockets.delete(socket));
      socket.on('error', () => {
        near.destroy();
        far.destroy();
      });
    }
    carry(near, far, 'up').catch(() => far.destroy());
    carry(far, near, 'down').catch(() => near.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: `localhost:${address.port}`,
    received: () => received,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function until(time: number): Promise<void> {
  const left = time - performance.now();
  if (left > 0) await sleep(Math.ceil(left));
}
