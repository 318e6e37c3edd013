import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { type Outcome, SmcRHost, type SmcRSocket } from '@anole/smc/r';
import { Guest, whyNoGuest } from './smc/guest.ts';
import { Family, Flag, type GuestSockets } from './smc/guest-sockets.ts';
import { addEid, askIn } from './smc/netlink.ts';

/** Of the network for benchmarks (RFC 2544), which is nobody's: eight addresses that no other test has. */
const subnet = `198.18.${randomInt(256)}`;
const first = randomInt(32) * 8;
const [own, stranger, guestAddress] = [1, 2, 3].map((each) => `${subnet}.${first + each}`) as [
  string,
  string,
  string,
];
const SERVER = 7000;
const PLAIN = 7001;
const MEGABYTE = 1 << 20;

/** All that comes. */
async function readAll(socket: Duplex): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  await once(socket, 'end');
  return Buffer.concat(pieces);
}

async function readSome(socket: Duplex, length: number): Promise<Buffer> {
  for (;;) {
    const bytes: Buffer | null = socket.read(length);
    if (bytes !== null) return bytes;
    await once(socket, 'readable');
  }
}

function overRoce({ transport, socket }: Outcome): SmcRSocket {
  assert.equal(transport, 'smc-r');
  return socket as SmcRSocket;
}

describe("SMC-R with Linux's own", { skip: whyNoGuest() }, () => {
  let guest: Guest;
  let linux: GuestSockets;
  let host: SmcRHost;
  /** A socket of the guest that listens for SMC. */
  let listener: number;

  before(async () => {
    const device = `smc${randomInt(2 ** 32)}`;
    guest = await Guest.boot({
      device,
      addresses: [own, stranger],
      address: guestAddress,
      prefix: 29,
    });
    linux = guest.sockets;
    await addEid(askIn(linux), 'LIZARDS');
    host = await SmcRHost.open({ address: own, eids: ['LIZARDS'] });
    listener = await linux.listen(Family.smc, SERVER);
  });
  after(async () => {
    await host?.close();
    await guest?.[Symbol.asyncDispose]();
  });

  /** A connection of ours to the guest's server. */
  async function connect(): Promise<[SmcRSocket, number]> {
    const [outcome, fd] = await Promise.all([
      host.connect(SERVER, guestAddress),
      linux.accept(listener),
    ]);
    return [overRoce(outcome), fd];
  }

  /** A connection of the guest's to a server of ours. */
  async function serve(): Promise<[SmcRSocket, number, Server]> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const server = host.listen(0, resolve);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const [outcome, fd] = await Promise.all([promise, linux.connect(Family.smc, own, port)]);
    return [overRoce(outcome), fd, server];
  }

  test('our client and its server exchange megabytes; it closes first', async () => {
    const [socket, fd] = await connect();
    const [up, down] = [randomBytes(2 * MEGABYTE), randomBytes(2 * MEGABYTE)];
    socket.write(up);
    assert.ok((await linux.receiveAll(fd, up.length)).equals(up));
    const came = readAll(socket);
    await linux.send(fd, down);
    await linux.shutdown(fd);
    assert.ok((await came).equals(down));
    assert.equal((await linux.receive(fd)).length, 0);
    await linux.close(fd);
    if (!socket.closed) await once(socket, 'close');
  });

  test('a second connection uses the link of the first one; ours closes first', async () => {
    const [socket, fd] = await connect();
    assert.equal(host.endpoint.links.length, 1);
    socket.end('short');
    assert.equal(String(await linux.receiveAll(fd)), 'short');
    await linux.send(fd, Buffer.from('answer'));
    await linux.close(fd);
    assert.equal(String(await readAll(socket)), 'answer');
  });

  test('its client and our server exchange megabytes, twice over one link', async () => {
    for (let round = 0; round < 2; round++) {
      const [socket, fd, server] = await serve();
      const [up, down] = [randomBytes(MEGABYTE), randomBytes(MEGABYTE)];
      const came = readSome(socket, 100).then(async (head) =>
        Buffer.concat([head, await readAll(socket)]),
      );
      await linux.send(fd, up);
      socket.end(down);
      assert.ok((await linux.receiveAll(fd)).equals(down));
      await linux.close(fd);
      assert.ok((await came).equals(up));
      server.close();
    }
    assert.equal(host.endpoint.links.length, 2);
  });

  test('urgent bytes arrive as such, in both directions', async () => {
    const [socket, fd] = await connect();
    const urgent = once(socket, 'urgent');
    await linux.send(fd, Buffer.from('a'));
    await linux.send(fd, Buffer.from('!'), Flag.urgent);
    assert.deepEqual(await urgent, ['!'.charCodeAt(0)]);
    assert.equal(String(await readSome(socket, 2)), 'a!');
    socket.writeUrgent(Buffer.from('b?'));
    assert.equal(String(await linux.receive(fd, 10)), 'b');
    assert.equal(String(await linux.receive(fd, 1, Flag.urgent)), '?');
    const end = readAll(socket);
    await linux.close(fd);
    assert.equal((await end).length, 0);
  });

  test('what is aborted is an error at the other end', async () => {
    const [socket, fd] = await connect();
    socket.on('error', () => {});
    socket.destroy(new Error('enough'));
    // Linux lets a reader find the end, and a writer a broken pipe.
    assert.equal((await linux.receive(fd)).length, 0);
    await assert.rejects(linux.send(fd, Buffer.from('late')), { code: 'EPIPE' });
    await linux.close(fd);
    // It aborts itself what is closed before all has been read.
    const [left, leaver] = await connect();
    left.write('never read');
    assert.equal((await linux.receive(leaver, 1)).length, 1);
    const failed = once(left, 'error');
    await linux.close(leaver);
    assert.equal((await failed)[0].code, 'ECONNRESET');
  });

  test('without a common EID it declines, and bytes go over TCP', async () => {
    await using other = await SmcRHost.open({ address: stranger, eids: ['GECKOS'] });
    const [outcome, fd] = await Promise.all([
      other.connect(SERVER, guestAddress),
      linux.accept(listener),
    ]);
    assert.ok(outcome.transport === 'tcp');
    // Nothing is left of what was proposed: Linux says so, not what was missing.
    assert.equal(outcome.reason.code, 0x03030000);
    outcome.socket.end('over TCP');
    assert.equal(String(await linux.receiveAll(fd)), 'over TCP');
    await linux.send(fd, Buffer.from('as well'));
    await linux.close(fd);
    assert.equal(String(await readAll(outcome.socket)), 'as well');
  });

  test('its servers without SMC get what the program writes, and nothing else', async () => {
    const plain = await linux.listen(Family.inet, PLAIN);
    const [outcome, fd] = await Promise.all([
      host.connect(PLAIN, guestAddress),
      linux.accept(plain),
    ]);
    assert.equal(outcome.transport, 'tcp');
    outcome.socket.end('plain');
    assert.equal(String(await linux.receiveAll(fd)), 'plain');
    await linux.close(fd);
  });
});
