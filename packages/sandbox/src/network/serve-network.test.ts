import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { describe, it } from 'node:test';
import type { NetworkEvent } from '@anole/net';
import { networkOrder } from './options.ts';
import { serveNetwork } from './serve-network.ts';

const refusal = (port: number) =>
  new Promise((resolve) => {
    createConnection(port, '127.0.0.1')
      .on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
      .on('connect', () => resolve('connected'));
  });

describe('a machine’s network', () => {
  it('listens until it is disposed of', async () => {
    const network = await serveNetwork(networkOrder({ publish: ['0:80', '0:81'] }), () => {});
    const ports = network.ports.map(({ port }) => port);
    assert.equal(await refusal(ports[0]!), 'connected');
    network[Symbol.dispose]();
    for (const port of ports) assert.equal(await refusal(port), 'ECONNREFUSED');
  });

  it('leaves no port open where another one cannot be had', async () => {
    using taken = await serveNetwork(networkOrder({ publish: ['0:80'] }), () => {});
    const { port } = taken.ports[0]!;
    const former = await serveNetwork(networkOrder({ publish: ['0:80'] }), () => {});
    const free = former.ports[0]!.port;
    former[Symbol.dispose]();
    const order = networkOrder({ publish: [`${free}:80`, `${port}:80`] });
    await assert.rejects(
      serveNetwork(order, () => {}),
      { code: 'SANDBOX_BAD_PORT' },
    );
    assert.equal(await refusal(free), 'ECONNREFUSED');
  });

  it('goes on where its capture cannot be written, and says so once', async (t) => {
    if (!existsSync('/dev/full')) return t.skip('there is no /dev/full');
    const events: NetworkEvent[] = [];
    const order = networkOrder({ capture: '/dev/full' });
    using network = await serveNetwork(order, (event) => events.push(event));
    network.stack.receive(new Uint8Array(60), {});
    assert.equal(events.length, 1);
    assert.match(JSON.stringify(events), /Cannot write the capture \/dev\/full/);
  });
});
