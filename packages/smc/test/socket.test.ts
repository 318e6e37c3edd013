import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasNative } from '@anole/host/native';
import net, { type Socket, smcState } from '@anole/smc/net';
import type { SmcHandle } from '../src/socket/handle.ts';
import { pattern } from './peer.ts';

// Short connections are what most tests make.
process.env['ANOLE_SMC_POLICY'] = join(import.meta.dirname, 'always.json');
const skip = hasNative() ? false : 'koffi is not installed for this platform';
const register = join(import.meta.dirname, '../src/register.ts');
const peerFile = join(import.meta.dirname, 'peer.ts');

interface Peer extends Disposable {
  readonly port: number;
  readonly process: ChildProcess;
}

async function peer(behaviour: string, preload = true): Promise<Peer> {
  const flags = ['-C', 'anole-source', ...(preload ? ['--import', register] : [])];
  const child = fork(peerFile, [behaviour], { execArgv: flags });
  const died = once(child, 'exit').then(([code, signal]): never => {
    throw new Error(`The peer has ended, with ${signal ?? code}`);
  });
  died.catch(() => {});
  const [{ port }] = (await Promise.race([once(child, 'message'), died])) as [{ port: number }];
  return { port, process: child, [Symbol.dispose]: () => child.connected && child.disconnect() };
}

async function connectTo(port: number, options: object = {}): Promise<Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', ...options });
  await once(socket, 'connect');
  return socket;
}

async function bytesOf(socket: Socket): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const each of socket) all.push(each as Buffer);
  return Buffer.concat(all);
}

let echo: Peer;
before(async () => {
  if (!skip) echo = await peer('echo');
});
after(() => echo?.[Symbol.dispose]());

test('bytes go there and back through shared memory', { skip }, async () => {
  const socket = await connectTo(echo.port);
  socket.end('there and back');
  assert.equal(String(await bytesOf(socket)), 'there and back');
  const state = smcState(socket);
  assert.equal(state?.transport, 'smc-d');
  assert.equal(state?.peer?.pid, echo.process.pid);
  assert.equal(socket.bytesRead, 14);
  assert.equal(socket.bytesWritten, 14);
});

test('a server without shared memory gets plain TCP, with the reason', { skip }, async () => {
  using plain = await peer('echo', false);
  const socket = await connectTo(plain.port);
  socket.end('plain');
  assert.equal(String(await bytesOf(socket)), 'plain');
  const { transport, reason } = smcState(socket)!;
  assert.equal(transport, 'tcp');
  assert.deepEqual([reason?.name, reason?.code], ['noPeer', 0x03010000]);
});

test('many bytes arrive whole and in order, whatever the sizes they come in', {
  skip,
}, async () => {
  using giver = await peer('giving');
  const count = 20_000_000;
  const socket = await connectTo(giver.port);
  socket.write(String(count));
  let at = 0;
  for await (const each of socket) {
    const bytes = each as Buffer;
    assert.ok(pattern(at, bytes.length).equals(bytes), `bytes from ${at} on`);
    at += bytes.length;
  }
  assert.equal(at, count);
});

test('a peer that does not read makes the writer wait', { skip }, async () => {
  using silent = await peer('silent');
  const socket = await connectTo(silent.port);
  const chunk = Buffer.alloc(1 << 20, 1);
  let written = 0;
  while (written < 64 && socket.write(chunk)) written++;
  // The peer may not have had a processor yet.
  while (smcState(socket)?.transport === 'pending') await sleep(20);
  await sleep(200);
  assert.ok(socket.writableNeedDrain);
  assert.ok(socket.writableLength > 0);
  assert.equal(smcState(socket)?.transport, 'smc-d');
  socket.destroy();
});

test('a peer that exits is read to its last byte, one that resets is an error', {
  skip,
}, async () => {
  using dying = await peer('dying');
  const last = await connectTo(dying.port);
  last.write('go');
  assert.equal(String(await bytesOf(last)), 'last words');
  using resetting = await peer('resetting');
  const broken = await connectTo(resetting.port);
  broken.write('go');
  const [error] = (await once(broken, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});

test('whose peer has ended reads all, even if the peer closes without having read all', {
  skip,
}, async (t) => {
  const server = new net.Server(async (socket) => {
    await sleep(20);
    socket.end('all of it');
    // At once, not in the next turn: the end is still to be told.
    socket.destroy();
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = await connectTo((server.address() as AddressInfo).port);
  socket.write(Buffer.alloc(1 << 20));
  assert.equal(String(await bytesOf(socket)), 'all of it');
});

test('what a peer left behind can be read when it is long gone', { skip }, async () => {
  using leaving = await peer('leaving');
  const socket = await connectTo(leaving.port);
  const gone = once(leaving.process, 'exit');
  socket.write('go');
  await gone;
  await sleep(50);
  assert.ok((await bytesOf(socket)).equals(pattern(0, 3_000_000)));
});

test('a peer that is killed ends the connection', { skip }, async () => {
  using killed = await peer('killed');
  const socket = await connectTo(killed.port);
  socket.on('error', () => {});
  socket.write('go');
  socket.resume();
  // With or without an error, as with TCP: it depends on what the peer had read.
  await new Promise((resolve) => socket.once('close', resolve));
  assert.equal(smcState(socket)?.transport, 'smc-d');
});

test('one link carries many connections at once', { skip }, async () => {
  const sockets: Socket[] = [];
  // Some at a time: a server that needs seconds for all of them on a busy computer is too late for the last.
  while (sockets.length < 300) {
    const some = await Promise.all(Array.from({ length: 20 }, () => connectTo(echo.port)));
    for (const socket of some) {
      while (smcState(socket)?.transport === 'pending') await sleep(1);
    }
    sockets.push(...some);
  }
  const answers = sockets.map(async (socket, number) => {
    socket.end(`number ${number}`);
    return String(await bytesOf(socket));
  });
  assert.deepEqual(
    await Promise.all(answers),
    sockets.map((_, number) => `number ${number}`),
  );
  assert.ok(sockets.every((socket) => smcState(socket)?.transport === 'smc-d'));
});

test('client and server in one thread share memory, too', { skip }, async () => {
  const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = await connectTo((server.address() as AddressInfo).port);
  socket.end('myself');
  assert.equal(String(await bytesOf(socket)), 'myself');
  assert.equal(smcState(socket)?.transport, 'smc-d');
  server.close();
  await once(server, 'close');
});

test('what is received lies in memory of its own, which may be passed on', { skip }, async () => {
  for (const length of [5, 60_000]) {
    const socket = await connectTo(echo.port);
    const sent = pattern(0, length);
    socket.end(sent);
    const got: Buffer[] = [];
    for await (const each of socket) got.push(each as Buffer);
    for (const each of got) {
      assert.deepEqual([each.byteOffset, each.buffer.byteLength], [0, each.length]);
    }
    const passed = got.map((each) => structuredClone(each, { transfer: [each.buffer] }));
    assert.ok(Buffer.concat(passed).equals(sent));
    assert.equal(smcState(socket)?.transport, 'smc-d');
  }
});

test('reading into a buffer of the caller works', { skip }, async () => {
  const got: string[] = [];
  const buffer = Buffer.alloc(4);
  const callback = (count: number, bytes: Uint8Array) => {
    got.push(Buffer.from(bytes.subarray(0, count)).toString());
    return true;
  };
  const socket = await connectTo(echo.port, { onread: { buffer, callback } });
  socket.end('0123456789');
  await once(socket, 'close');
  assert.deepEqual(got, ['0123', '4567', '89']);
  assert.equal(smcState(socket)?.transport, 'smc-d');
});

test('a client that connects, and is held up before it can say so, is waited for', {
  skip,
}, async () => {
  const server = net.createServer((socket) => socket.end(String(smcState(socket)?.transport)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // The first connection makes the link. The second is accepted 100 ms before it is claimed.
  const source = `
    const net = require('node:net');
    net.connect(${port}, '127.0.0.1').resume().on('close', () => {
      net.connect(${port}, '127.0.0.1', function () { process.send(this.smc.transport); })
        .on('data', (bytes) => process.send(String(bytes))).on('close', () => process.exit());
      // Node connects in a tick before this one, and what claims is in one after it.
      process.nextTick(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100));
    });`;
  const args = ['-C', 'anole-source', '--import', register, '-e', source];
  const client = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const said: unknown[] = [];
  client.on('message', (message) => said.push(message));
  await once(client, 'exit');
  assert.equal(said.at(-1), 'smc-d');
  server.close();
});

test('a server that has accepted before the client hears that it is connected is seen', {
  skip,
}, async () => {
  const first = await connectTo(echo.port);
  const { _handle: handle } = first as unknown as { _handle: SmcHandle };
  const { link } = handle.transport.stream.connection!;
  const socket = net.connect(echo.port, '127.0.0.1');
  // Claimed in a tick after this one; then this loop sees nothing of TCP until the server has answered.
  await new Promise((resolve) => process.nextTick(resolve));
  await new Promise((resolve) => process.nextTick(resolve));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  link.poll();
  assert.ok(socket.connecting);
  await once(socket, 'connect');
  assert.equal(smcState(socket)?.transport, 'smc-d');
  first.destroy();
  socket.destroy();
});

test('what becomes of a connection is told through diagnostics_channel', { skip }, async () => {
  using plain = await peer('echo', false);
  const told: unknown[] = [];
  const listener = (message: unknown) => told.push(message);
  for (const name of ['connected', 'fallback']) subscribe(`anole.smc.${name}`, listener);
  const fast = await connectTo(echo.port);
  fast.end('once');
  await bytesOf(fast);
  const slow = await connectTo(plain.port);
  slow.end();
  for (const name of ['connected', 'fallback']) unsubscribe(`anole.smc.${name}`, listener);
  assert.deepEqual(told, [
    { socket: fast, state: smcState(fast) },
    { socket: slow, state: smcState(slow) },
  ]);
});

test('without koffi everything goes over TCP, and says so at both ends', { skip }, async () => {
  const hide = `
    import Module from 'node:module';
    const { _load } = Module;
    Module._load = (name, ...rest) => {
      if (name.startsWith('@koromix/')) throw new Error('not installed');
      return _load(name, ...rest);
    };`;
  const source = `
    const net = require('node:net');
    const server = net.createServer((socket) => socket.end(socket.smc.reason.name));
    server.listen(0, '127.0.0.1', () => {
      const socket = net.connect(server.address().port, '127.0.0.1');
      socket.on('data', (bytes) => console.log(String(bytes), socket.smc.reason.name));
      socket.on('close', () => server.close());
    });`;
  const hidden = ['--import', `data:text/javascript,${encodeURIComponent(hide)}`];
  const args = [...hidden, '-C', 'anole-source', '--import', register, '-e', source];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const output = Buffer.concat(await child.stdout.toArray());
  assert.equal(String(output), 'noNative noNative\n');
});

test('HTTP and HTTP/2 work over such sockets', { skip }, async () => {
  const web = new net.Server();
  const app = http.createServer((request, response) => {
    request.pipe(response);
  });
  web.on('connection', (socket) => app.emit('connection', socket));
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  const { port } = web.address() as AddressInfo;
  const answer = await new Promise<string>((resolve, reject) => {
    const options = { method: 'POST', createConnection: () => net.connect(port, '127.0.0.1') };
    const request = http.request(options, (response) => {
      response.setEncoding('utf8').on('data', resolve);
    });
    request.on('error', reject).end('over HTTP');
  });
  assert.equal(answer, 'over HTTP');
  web.close();

  const second = new net.Server();
  const app2 = http2.createServer((request, response) => request.pipe(response));
  second.on('connection', (socket) => app2.emit('connection', socket));
  second.listen(0, '127.0.0.1');
  await once(second, 'listening');
  const at = (second.address() as AddressInfo).port;
  const session = http2.connect(`http://127.0.0.1:${at}`, {
    createConnection: () => net.connect(at, '127.0.0.1'),
  });
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  stream.end('over HTTP/2');
  assert.equal(String(await bytesOf(stream as unknown as Socket)), 'over HTTP/2');
  session.close();
  second.close();
});

test('what a stream of HTTP/2 has written arrives, though it is destroyed at once', {
  skip,
}, async (t) => {
  const server = new net.Server();
  const app = http2.createServer();
  app.on('stream', (stream) => {
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.write('last words');
      stream.destroy();
    });
    stream.resume();
  });
  server.on('connection', (socket) => app.emit('connection', socket));
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  const session = http2.connect('http://127.0.0.1', { createConnection: () => socket });
  const stream = session.request({ ':method': 'POST' }).end();
  const closed = once(stream, 'close').then(() => [{}]);
  const [headers] = await Promise.race([once(stream, 'response'), closed]);
  assert.equal(headers[':status'], 200);
  assert.equal(smcState(socket)?.transport, 'smc-d');
  session.destroy();
});
