import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Endpoint, parseIpv4, type StreamEvents } from '@anole/net';
import { HostOutside } from './host-outside.ts';

const loopback = parseIpv4('127.0.0.1')!;
const servers: Server[] = [];

async function serve(handle: (socket: Socket) => void): Promise<Endpoint> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    handle(socket);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { address: loopback, port: (server.address() as AddressInfo).port };
}

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Bytes in use when all that nobody refers to is gone. */
function inUse(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Notes what a stream tells. */
class Events implements StreamEvents {
  readonly told: string[] = [];
  readonly chunks: Uint8Array[] = [];
  #changed = Promise.withResolvers<void>();

  connected = () => this.#tell('connected');
  failed = (reason: string) => this.#tell(reason);
  ended = () => this.#tell('ended');
  reset = () => this.#tell('reset');
  drained = () => {};
  data = (bytes: Uint8Array) => {
    this.chunks.push(bytes);
    this.#tell('data');
  };

  async until(event: string): Promise<void> {
    while (!this.told.includes(event)) await this.#changed.promise;
  }

  #tell(event: string): void {
    this.told.push(event);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

describe('streams of this computer', () => {
  after(() => {
    for (const server of servers) server.close();
  });
  const outside = new HostOutside([]);

  it('connect, carry bytes both ways and end each way by itself', async () => {
    const received: Buffer[] = [];
    const to = await serve((socket) => {
      socket.on('data', (chunk) => received.push(chunk));
      socket.on('end', () => socket.end('all of it'));
    });
    const events = new Events();
    const stream = outside.connect(to, events);
    await events.until('connected');
    stream.write(new TextEncoder().encode('hello'));
    stream.end();
    await events.until('ended');
    assert.equal(Buffer.concat(received).toString(), 'hello');
    assert.equal(Buffer.concat(events.chunks).toString(), 'all of it');
  });

  it('say why there is no connection, and that one was lost', async () => {
    const refused = new Events();
    outside.connect({ address: loopback, port: 1 }, refused);
    await refused.until('refused');
    const to = await serve((socket) => socket.on('data', () => socket.resetAndDestroy()));
    const lost = new Events();
    const stream = outside.connect(to, lost);
    await lost.until('connected');
    stream.write(Uint8Array.of(1));
    await lost.until('reset');
    assert.deepEqual(lost.told, ['connected', 'reset']);
  });

  it('say nothing after they were closed', async () => {
    const to = await serve((socket) => socket.end('x'));
    const events = new Events();
    outside.connect(to, events).close(true);
    await setTimeout(50);
    assert.deepEqual(events.told, []);
  });

  it('hold what nobody reads, in no more memory than its bytes, and give it later', async () => {
    const sockets: Socket[] = [];
    const to = await serve((socket) => {
      socket.pause();
      sockets.push(socket);
    });
    const events = new Events();
    const stream = outside.connect(to, events);
    await events.until('connected');
    let written = 0;
    // Fill what the system holds.
    while (stream.waiting === 0) {
      stream.write(new Uint8Array(65536));
      written += 65536;
    }
    const before = inUse();
    const single = Uint8Array.of(7);
    for (let i = 0; i < 500_000; i++) {
      assert.equal(stream.write(single), false, 'it is copied');
    }
    written += 500_000;
    const grown = inUse() - before;
    assert.ok(grown < 30e6, `${grown} bytes for half a million`);
    let taken = 0;
    sockets[0]!.on('data', (chunk) => {
      taken += chunk.length;
    });
    sockets[0]!.resume();
    stream.end();
    await once(sockets[0]!, 'end');
    assert.equal(taken, written);
    stream.close(false);
    for (const socket of sockets) socket.destroy();
  });

  it('stop giving while they are paused', async () => {
    const sockets: Socket[] = [];
    const to = await serve((socket) => {
      sockets.push(socket);
      const chunk = Buffer.alloc(65536);
      const fill = () => {
        while (socket.write(chunk)) {}
      };
      socket.on('drain', fill);
      fill();
    });
    const events = new Events();
    const stream = outside.connect(to, events);
    await events.until('data');
    stream.pause();
    const at = events.chunks.length;
    await setTimeout(100);
    assert.ok(events.chunks.length - at <= 1);
    stream.close(true);
    for (const socket of sockets) socket.destroy();
  });

  it('know the host’s own addresses', () => {
    assert.equal(outside.isOwn(loopback), true);
    assert.equal(outside.isOwn(parseIpv4('8.8.8.8')!), false);
  });
});
