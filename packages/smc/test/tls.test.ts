import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import { hasNative } from '@anole/host/native';
import '@anole/smc/register';

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
