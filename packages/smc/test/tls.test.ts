import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import { hasNative } from '@anole/host/native';
import '@anole/smc/register';
import { smcState } from '@anole/smc/net';

// Short connections are what most tests make.
process.env['ANOLE_SMC_POLICY'] = join(import.meta.dirname, 'always.json');
const register = join(import.meta.dirname, '../src/register.ts');
const skip = hasNative() ? false : 'koffi is not installed for this platform';

/** Both ends know a key, so nobody needs a certificate. */
const psk = Buffer.alloc(16, 7);
const ciphers = 'PSK-AES128-CBC-SHA@SECLEVEL=0';
const ofServer = { ciphers, pskCallback: () => psk };
const ofClient = {
  ciphers,
  host: '127.0.0.1',
  pskCallback: () => ({ psk, identity: 'anole' }),
  checkServerIdentity: () => undefined,
};

const server = tls.createServer({ ...ofServer, maxVersion: 'TLSv1.2' });
let port = 0;

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
after(() => server.close());

async function connected(options: tls.ConnectionOptions = {}): Promise<[TLSSocket, TLSSocket]> {
  const client = tls.connect({ ...ofClient, port, ...options });
  const [[accepted]] = await Promise.all([
    once(server, 'secureConnection') as Promise<[TLSSocket]>,
    once(client, 'secureConnect'),
  ]);
  return [client, accepted];
}

test('a client whose server ends has read all, ends and closes, as over TCP', {
  skip,
}, async () => {
  const [client, accepted] = await connected();
  const sent = Buffer.alloc(3_000_000, 'over TLS ');
  accepted.end(sent);
  const closed = Promise.all([once(client, 'close'), once(accepted.resume(), 'close')]);
  assert.ok(Buffer.concat(await client.toArray()).equals(sent));
  await closed;
});

test('a client that may stay half open can answer a server that has ended', { skip }, async () => {
  assert.equal(
    tls
      .connect({ ...ofClient, port })
      .on('error', () => {})
      .destroy().allowHalfOpen,
    false,
  );
  const [client, accepted] = await connected({ allowHalfOpen: true } as tls.ConnectionOptions);
  accepted.allowHalfOpen = true;
  accepted.end('question');
  assert.equal(String(Buffer.concat(await client.toArray())), 'question');
  client.end('answer');
  assert.equal(String(Buffer.concat(await accepted.toArray())), 'answer');
});

test('why a client breaks off reaches the server', { skip }, async (t) => {
  const old = tls.createServer({ ...ofServer, secureProtocol: 'TLSv1_method' });
  t.after(() => old.close());
  old.listen(0, '127.0.0.1');
  await once(old, 'listening');
  const refused = once(old, 'tlsClientError') as Promise<[NodeJS.ErrnoException]>;
  const to = { port: (old.address() as AddressInfo).port, secureProtocol: 'SSLv23_method' };
  const client = tls.connect({ ...ofClient, ...to });
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ERR_SSL_UNSUPPORTED_PROTOCOL');
  // The alert comes in a record of a version that the server does not have.
  assert.equal((await refused)[0].code, 'ERR_SSL_WRONG_VERSION_NUMBER');
});

test('TLS upon a socket that is still connecting goes over TCP, and says so', {
  skip,
}, async () => {
  const socket = net.connect(port, '127.0.0.1');
  const client = tls.connect({ ...ofClient, socket });
  await once(client, 'secureConnect');
  assert.deepEqual([smcState(socket)?.transport, smcState(socket)?.reason?.name], ['tcp', 'tls']);
  client.destroy();
});

test('TLS within TLS works, of which the outer one goes over TCP', { skip }, async () => {
  const outer = tls.createServer(ofServer, (socket) => {
    const inner = net.connect(port, '127.0.0.1');
    inner.pipe(socket).pipe(inner);
  });
  outer.listen(0, '127.0.0.1');
  await once(outer, 'listening');
  const socket = tls.connect({ ...ofClient, port: (outer.address() as AddressInfo).port });
  const client = tls.connect({ ...ofClient, socket });
  const [accepted] = (await once(server, 'secureConnection')) as [TLSSocket];
  accepted.end('within');
  assert.equal(String(Buffer.concat(await client.toArray())), 'within');
  assert.equal(smcState(socket)?.reason?.name, 'tls');
  client.destroy();
  outer.close();
});

test('a client that is destroyed at once takes its socket along', { skip }, async () => {
  const client = tls.connect({ ...ofClient, port: 1 });
  client.on('error', (error) => assert.fail(error));
  client.destroy();
  await once(client, 'close');
});

test('a path is no port', { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-smc-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'tls');
  const local = tls.createServer(ofServer, (socket) => socket.end('local')).listen(path);
  t.after(() => local.close());
  await once(local, 'listening');
  const { host: _, ...options } = ofClient;
  const connect = tls.connect as unknown as (path: string, options: object) => TLSSocket;
  const client = connect(path, options);
  assert.equal(String(Buffer.concat(await client.toArray())), 'local');
});

test('a client may end what it writes before there is a connection', { skip }, async () => {
  const client = tls.connect({ ...ofClient, port });
  client.end('all of it');
  const [accepted] = (await once(server, 'secureConnection')) as [TLSSocket];
  assert.equal(String(Buffer.concat(await accepted.toArray())), 'all of it');
  accepted.end();
  await once(client.resume(), 'close');
  assert.equal(smcState(client)?.transport, 'smc-d');
});

test('a client that gives buffers to be read into is asked for one for each read', {
  skip,
}, async () => {
  let asked = 0;
  const got: string[] = [];
  const onread = {
    buffer: () => {
      asked++;
      return Buffer.alloc(4);
    },
    callback: (count: number, bytes: Uint8Array) => {
      got.push(Buffer.from(bytes.subarray(0, count)).toString());
      return true;
    },
  };
  const options = { ...ofClient, port, onread } as tls.ConnectionOptions;
  const client = tls.connect(options);
  const [accepted] = (await once(server, 'secureConnection')) as [TLSSocket];
  accepted.end('0123456789');
  await once(client, 'close');
  assert.deepEqual(got, ['0123', '4567', '89']);
  assert.equal(asked, got.length + 1);
  assert.equal(smcState(client)?.transport, 'smc-d');
});

test('listeners of before the connection hear of keys and sessions', { skip }, async () => {
  const client = tls.connect({ ...ofClient, port });
  const heard: string[] = [];
  client.on('keylog', () => heard.push('keylog')).on('session', () => heard.push('session'));
  const [accepted] = (await once(server, 'secureConnection')) as [TLSSocket];
  accepted.end('bye');
  assert.equal(String(Buffer.concat(await client.toArray())), 'bye');
  assert.equal(smcState(client)?.transport, 'smc-d');
  assert.ok(heard.includes('keylog') && heard.includes('session'), heard.join());
});

test('a client that does not keep its process alive does not either over shared memory', {
  skip,
}, async (t) => {
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
  t.after(() => silent.close());
  await once(silent, 'listening');
  const { port: at } = silent.address() as AddressInfo;
  const source = `require('node:tls').connect(${at}, '127.0.0.1').unref();`;
  const args = ['-C', 'anole-source', '--import', register, '-e', source];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});
