import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasNative } from '@anole/host/native';
import net, { type Socket, smcState } from '@anole/smc/net';
import type { SmcHandle } from '../src/socket/handle.ts';
import { linkPair } from './link-pair.ts';
import { pattern } from './peer.ts';

// Short connections are what most tests make.
process.env['ANOLE_SMC_POLICY'] = join(import.meta.dirname, 'always.json');
const skip = hasNative() ? false : 'koffi is not installed for this platform';
const register = join(import.meta.dirname, '../src/register.ts');
let receiver: ChildProcess;
let echo: ChildProcess;
let echoPort = 0;

before(async () => {
  if (skip) return;
  const execArgv = ['-C', 'anole-source', '--import', register];
  receiver = fork(join(import.meta.dirname, 'receiving-worker.ts'), { execArgv });
  await once(receiver, 'message');
  echo = fork(join(import.meta.dirname, 'peer.ts'), ['echo'], { execArgv });
  [{ port: echoPort }] = (await once(echo, 'message')) as [{ port: number }];
});
after(() => {
  receiver?.disconnect();
  echo?.disconnect();
});

const pass = (socket: Socket) =>
  new Promise<void>((resolve, reject) =>
    receiver.send('take it', socket, (error) => (error ? reject(error) : resolve())),
  );

/** A server that hands each connection to `accepted`. */
async function serving(accepted: (socket: Socket) => void): Promise<Server & Disposable> {
  const server = net.createServer(accepted).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(server, { [Symbol.dispose]: () => void server.close() });
}

async function bytesOf(socket: Socket): Promise<Buffer> {
  return Buffer.concat((await socket.toArray()) as Buffer[]);
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

test('a connection that is passed when it is accepted goes on over TCP, complete', {
  skip,
}, async () => {
  const states: (string | undefined)[] = [];
  using server = await serving((socket) => {
    states.push(smcState(socket)?.transport);
    void pass(socket).then(() => states.push(smcState(socket)?.reason?.name));
  });
  // More than its ring holds is on the way when it is passed.
  const socket = net.connect(portOf(server), '127.0.0.1');
  const sent = pattern(0, 5_000_000);
  socket.end(sent);
  assert.ok((await bytesOf(socket)).equals(sent));
  assert.deepEqual(states, ['smc-d', 'passed']);
  assert.equal(smcState(socket)?.reason?.name, 'passed');
});

test('one that was in use is passed with every byte in its place', { skip }, async () => {
  const [least, written] = [300_000, 2_000_000];
  let taken = 0;
  using server = await serving((socket) => {
    socket.on('data', (bytes: Buffer) => {
      taken += bytes.length;
      if (taken < least) return;
      socket.removeAllListeners('data');
      // Unread when it is passed, which is at once.
      socket.write(pattern(0, written));
      void pass(socket);
    });
  });
  const socket = net.connect(portOf(server), '127.0.0.1');
  const sent = pattern(0, 6_000_000);
  socket.end(sent);
  const got = await bytesOf(socket);
  assert.ok(got.subarray(0, written).equals(pattern(0, written)));
  assert.ok(got.subarray(written).equals(sent.subarray(taken)));
});

test('a client passes its end, too', { skip }, async () => {
  const socket = net.connect(echoPort, '127.0.0.1');
  socket.pause();
  socket.write('x');
  await once(socket, 'connect');
  while (smcState(socket)?.transport === 'pending') await new Promise(setImmediate);
  assert.equal(smcState(socket)?.transport, 'smc-d');
  await pass(socket);
  assert.equal(smcState(socket)?.reason?.name, 'passed');
});

test('one of two ends that leave at the same time leaves, and the other follows', { skip }, () => {
  using pair = linkPair();
  const word = pair.at(0);
  // The client has begun to leave, and will see that the server has, too.
  const live = pair.client.own.words[word]!;
  pair.client.own.words[word] = (live & ~15) | 3;
  assert.ok(pair.far.move());
  assert.ok(!pair.near.move());
  assert.ok(pair.near.peerMoved);
  pair.near.depart();
  pair.far.look();
  assert.equal(pair.server.size + pair.client.size, 0, 'both slots are free');
});

test('a peer that never decides whether it leaves holds nobody up', { skip }, () => {
  using pair = linkPair();
  const word = pair.at(0);
  pair.client.own.words[word] = (pair.client.own.words[word]! & ~15) | 7;
  assert.ok(!pair.far.move());
  pair.far.refresh();
  assert.ok(!pair.far.peerMoved);
});

test('one whose peer has closed is not passed, and says so', { skip }, async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  using server = await serving(async (socket) => {
    socket.pause();
    socket.on('error', () => {});
    const { _handle: handle } = socket as unknown as { _handle: SmcHandle };
    while (!handle.transport.stream.connection!.peerClosed) await sleep(10);
    await pass(socket).catch(resolve);
  });
  const socket = net.connect(portOf(server), '127.0.0.1');
  socket.write('nobody will read this');
  await once(socket, 'connect');
  while (smcState(socket)?.transport === 'pending') await new Promise(setImmediate);
  socket.destroy();
  assert.equal(((await promise) as { code?: string }).code, 'SMC_NOT_PASSED');
});
