import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { type Outcome, SmcRHost } from '@anole/smc/r';
import { NodeGuest, whyNoNodeGuest } from './smc/node-guest.ts';

/** Of the network for benchmarks (RFC 2544), which is nobody's: four addresses that no other test has. */
const base = randomInt(64) * 4;
const subnet = `198.19.${randomInt(256)}`;
const [own, guestAddress] = [`${subnet}.${base + 1}`, `${subnet}.${base + 2}`];

/** Sends bytes to whoever sends them back, and ends. */
async function exchange(socket: Duplex, length: number): Promise<void> {
  const sent = randomBytes(length);
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  socket.end(sent);
  await once(socket, 'end');
  assert.ok(Buffer.concat(pieces).equals(sent));
}

describe('a program of Node on a kernel with sockets of SMC', { skip: whyNoNodeGuest() }, () => {
  let guest: NodeGuest;
  let host: SmcRHost;

  before(async () => {
    const wire = { addresses: [own], address: guestAddress, prefix: 30 };
    guest = await NodeGuest.boot({ device: `smc${randomInt(2 ** 32)}`, ...wire });
    host = await SmcRHost.open({ address: own, eids: ['LIZARDS'] });
  });
  after(async () => {
    await host?.close();
    await guest?.[Symbol.asyncDispose]();
  });

  for (const [name, address] of [
    ['IPv4', '0.0.0.0'],
    ['IPv6 and IPv4', '::'],
  ]) {
    test(`its server at any address of ${name} takes SMC, and TCP from others`, async () => {
      const { port = 0 } = await guest.ask({ do: 'listen', address: address! });
      const { transport, socket } = await host.connect(port, guestAddress);
      assert.equal(transport, 'smc-r');
      const state = { transport: 'af_smc', role: 'server', mode: 'smc-r' };
      assert.deepEqual((await guest.ask({ do: 'accepted' })).state, state);
      await exchange(socket, 1 << 20);
      const plain = connect(port, guestAddress);
      await once(plain, 'connect');
      await exchange(plain, 1 << 20);
      const { state: fallen } = await guest.ask({ do: 'accepted' });
      assert.equal(fallen?.transport, 'tcp');
      assert.equal(fallen?.reason?.name, 'kernel');
      assert.equal(fallen?.reason?.code, 0x03010000);
    });
  }

  test('its client connects by SMC, and its report says so', async () => {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const server = host.listen(0, resolve);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { state, error } = await guest.ask({ do: 'connect', port });
    assert.deepEqual(state, { transport: 'af_smc', role: 'client', mode: 'smc-r' }, error);
    const { connections = [] } = await guest.ask({ do: 'report' });
    const reported = connections.find(({ remote }) => remote === `${own}:${port}`);
    assert.equal(reported?.transport, 'af_smc');
    assert.equal(reported?.mode, 'smc-r');
    const { transport, socket } = await promise;
    assert.equal(transport, 'smc-r');
    await exchange(socket, 1 << 20);
    server.close();
  });

  test('its client falls back where the server has no SMC, and says why', async () => {
    const server = createServer().listen(0, own);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const [[socket], { state }] = await Promise.all([
      once(server, 'connection'),
      guest.ask({ do: 'connect', port }),
    ]);
    assert.equal(state?.transport, 'tcp');
    assert.equal(state?.reason?.name, 'kernel');
    assert.equal(state?.reason?.code, 0x03010000);
    await exchange(socket, 1 << 20);
    server.close();
    const refused = await guest.ask({ do: 'connect', port });
    assert.match(refused.error ?? '', /ECONNREFUSED/);
  });
});
