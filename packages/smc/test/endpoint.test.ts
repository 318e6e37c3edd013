import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import type { SmcRSocket } from '@anole/smc/r';
import { until } from '../../oci/src/testing/tools.ts';
import { Hosts } from './endpoints.ts';
import { chance } from './wire.ts';

function bytesOf(length: number, seed = 1): Buffer {
  const next = chance(seed);
  return Buffer.from(Uint8Array.from({ length }, () => next() * 256));
}

/** All that comes. Node's own "buffer" destroys a socket that has something to write still. */
async function buffer(socket: Duplex): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  await once(socket, 'end');
  return Buffer.concat(pieces);
}

async function pair(hosts: Hosts): Promise<[SmcRSocket, SmcRSocket]> {
  const [near, far] = await hosts.connect();
  assert.deepEqual([near.transport, far.transport], ['smc-r', 'smc-r']);
  return [near.socket as SmcRSocket, far.socket as SmcRSocket];
}

test('both ends send and read to the end, on one link for all connections', async () => {
  await using hosts = new Hosts();
  for (let round = 0; round < 3; round++) {
    const [near, far] = await pair(hosts);
    const [up, down] = [bytesOf(100_000, round), bytesOf(70_000, round + 10)];
    near.end(up);
    far.end(down);
    const [came, went] = await Promise.all([buffer(far), buffer(near)]);
    assert.ok(came.equals(up));
    assert.ok(went.equals(down));
    assert.ok(near.closed || (await once(near, 'close')));
  }
  assert.equal(hosts.near.links.length, 1);
  assert.equal(hosts.far.links.length, 1);
  const connections = () =>
    [hosts.near, hosts.far].reduce((sum, { links }) => sum + links[0]!.link.connections, 0);
  await until('no connection is left', () => connections() === 0);
});

test('connections that begin at once share a link, and do not mix', async () => {
  await using hosts = new Hosts();
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const [near, far] = await pair(hosts);
      pipeline(far, far as Duplex).catch(() => {});
      near.end(bytesOf(50_000, index));
      assert.ok((await buffer(near)).equals(bytesOf(50_000, index)));
    }),
  );
  assert.equal(hosts.near.links.length, 1);
});

test('who names another address than that of its TCP connection gets no packets there', async () => {
  for (const strict of ['near', 'far'] as const) {
    const options = { allowOtherAddress: false };
    await using hosts = strict === 'near' ? new Hosts(options) : new Hosts({}, options);
    let packets = 0;
    const count = () => {
      packets++;
      return [];
    };
    for (const port of [hosts.nearPort, hosts.farPort]) port.filter = count;
    const [near, far] = await hosts.connect();
    assert.deepEqual([near.transport, far.transport, packets], ['tcp', 'tcp', 0]);
    assert.ok(near.transport === 'tcp' && near.reason.code === 0x03030002);
    near.socket.end('plain');
    assert.equal((await buffer(far.socket)).toString(), 'plain');
    far.socket.end();
  }
});

test('a wire that loses, doubles and delays changes nothing', async () => {
  await using hosts = new Hosts({}, { ringSize: 65536 });
  const random = chance(5);
  for (const port of [hosts.nearPort, hosts.farPort]) {
    let held: Uint8Array | undefined;
    port.filter = (packet) => {
      const chosen = random();
      if (chosen < 0.01) return [];
      if (chosen < 0.02) return [packet, packet];
      const before = held;
      held = chosen > 0.99 ? packet : undefined;
      const now = held === undefined ? [packet] : [];
      return before === undefined ? now : [...now, before];
    };
  }
  const [near, far] = await pair(hosts);
  const sent = bytesOf(1_000_000);
  pipeline(far, far as Duplex).catch(() => {});
  const received = buffer(near);
  for (let at = 0; at < sent.length; ) {
    const length = 1 + Math.floor(random() * 40_000);
    if (!near.write(sent.subarray(at, at + length))) await once(near, 'drain');
    at += length;
  }
  near.end();
  assert.ok((await received).equals(sent));
});

test('who does not read is waited for', async () => {
  await using hosts = new Hosts();
  const [near, far] = await pair(hosts);
  const sent = bytesOf(200_000);
  near.resume().end(sent);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.ok(near.writableLength > 100_000);
  const pieces: Buffer[] = [];
  for await (const piece of far) pieces.push(piece);
  assert.ok(Buffer.concat(pieces).equals(sent));
});

test('an urgent byte is told of, and stays in the stream', async () => {
  await using hosts = new Hosts();
  const [near, far] = await pair(hosts);
  const urgent = once(far, 'urgent');
  near.resume();
  near.write('calm ');
  near.writeUrgent(Buffer.from('now!'));
  near.end(' calm');
  assert.deepEqual(await urgent, ['!'.charCodeAt(0)]);
  assert.equal(String(await buffer(far)), 'calm now! calm');
});

test('an end that is destroyed closes the other; with an error it aborts', async () => {
  await using hosts = new Hosts();
  const [near, far] = await pair(hosts);
  far.resume();
  near.destroy();
  await once(far, 'close');
  assert.equal(far.errored, null);
  const [near2, far2] = await pair(hosts);
  near2.on('error', () => {});
  near2.destroy(new Error('enough'));
  const [error] = await once(far2, 'error');
  assert.equal(error.code, 'ECONNRESET');
});

test('ends without a common EID go on over TCP, with what they write', async () => {
  await using hosts = new Hosts({ eids: ['LIZARDS'] }, { eids: ['GECKOS'] });
  const [near, far] = await hosts.connect();
  assert.ok(near.transport === 'tcp' && far.transport === 'tcp');
  assert.equal(near.reason.code, 0x03030008);
  near.socket.end('over TCP');
  far.socket.end('as well');
  assert.equal(String(await buffer(far.socket)), 'over TCP');
  assert.equal(String(await buffer(near.socket)), 'as well');
});

test('a client that does not speak SMC is served over TCP, from its first byte on', async () => {
  await using hosts = new Hosts();
  for (const text of ['GET / HTTP/1.1\r\n\r\n', 'hi']) {
    const [client, server] = await hosts.tcp();
    client.end(text);
    const { transport, socket } = await hosts.far.acceptOver(server);
    assert.equal(transport, 'tcp');
    socket.end();
    assert.equal(String(await buffer(socket)), text);
    client.destroy();
  }
});

test('a peer that has lost its links gets a new one', async () => {
  await using hosts = new Hosts();
  for (const socket of await pair(hosts)) socket.on('error', () => {});
  // As after a crash: nobody is told.
  hosts.nearPort.filter = () => [];
  for (const { link } of hosts.near.links) link.end(new Error('crash'));
  hosts.nearPort.filter = (packet) => [packet];
  const [near, far] = await pair(hosts);
  near.resume().end('again');
  assert.equal(String(await buffer(far)), 'again');
});

test('a wire that is cut ends connections with an error', async (context) => {
  await using hosts = new Hosts();
  const [near, far] = await pair(hosts);
  far.on('error', () => {});
  hosts.nearPort.filter = () => [];
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const failed = once(near, 'error');
  near.write('into the void');
  for (let tries = 0; tries < 8; tries++) context.mock.timers.tick(134);
  context.mock.timers.reset();
  assert.equal((await failed)[0].code, 'SMC_LINK_LOST');
  for (const { link } of hosts.far.links) link.end(new Error('cut'));
});
