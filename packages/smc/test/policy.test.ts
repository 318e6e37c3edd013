import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasNative } from '@anole/host/native';
import { modeFor, parsePolicy } from '@anole/smc';
import net, { smcState } from '@anole/smc/net';

const skip = hasNative() ? false : 'koffi is not installed for this platform';

test('the first rule that fits says what becomes of a connection', () => {
  const rules = [
    { port: 6379, process: 'worker', mode: 'require' },
    { port: '8000-8099', mode: 'off' },
    { address: '10.32.0.0/11', mode: 'always' },
    { address: 'fd00::/8', port: 1, mode: 'off' },
  ];
  const policy = parsePolicy(JSON.stringify({ rules }));
  const mode = (address: string, port: number, process = 'other') =>
    modeFor(policy, { address, port, process });
  assert.equal(mode('127.0.0.1', 6379, 'worker'), 'require');
  assert.equal(mode('127.0.0.1', 6379), 'prefer');
  assert.equal(mode('127.0.0.1', 8099), 'off');
  assert.equal(mode('127.0.0.1', 8100), 'prefer');
  assert.equal(mode('10.63.255.255', 8100), 'always');
  assert.equal(mode('::ffff:10.32.0.1', 8100), 'always');
  assert.equal(mode('10.64.0.0', 8100), 'prefer');
  assert.equal(mode('fd12::1', 1), 'off');
  assert.equal(mode('fe80::1', 1), 'prefer');
});

test('a policy that is damaged is refused with what is wrong', () => {
  const addresses = ['"10.0.0.0/33"', '"localhost"', '"::/129"', '5', 'null'].map(
    (address) => `{"rules":[{"mode":"off","address":${address}}]}`,
  );
  const bad = [
    '',
    '[',
    '3',
    '{"default":"on"}',
    '{"rules":[{}]}',
    '{"rules":{}}',
    '{"dryRun":1}',
    '{"kernel":1}',
  ];
  for (const text of [
    ...bad,
    '{"rules":[null]}',
    '{"rules":[{"mode":"off","port":"x"}]}',
    ...addresses,
  ]) {
    assert.throws(() => parsePolicy(text), { code: 'SMC_BAD_POLICY' }, text);
  }
});

test('a policy is followed as soon as its file changes', { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-smc-'));
  const file = join(directory, 'policy.json');
  const server = net.createServer((socket) => socket.end('bye')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connected = async (to = port) => {
    const socket = net.connect(to, '127.0.0.1');
    await once(socket.resume(), 'close');
    return smcState(socket);
  };
  try {
    process.env['ANOLE_SMC_POLICY'] = file;
    writeFileSync(file, '{"default":"off"}');
    assert.equal((await connected())?.reason?.name, 'off');
    await sleep(550);
    writeFileSync(file, '{"dryRun":true}');
    assert.equal((await connected())?.reason?.name, 'dryRun');
    await sleep(550);
    writeFileSync(file, '{"default":"require"}');
    assert.equal((await connected())?.transport, 'smc-d');
    const plain = (await import('node:net')).createServer().listen(0, '127.0.0.1');
    await once(plain, 'listening');
    const other = (plain.address() as AddressInfo).port;
    await assert.rejects(connected(other), {
      code: 'SMC_REQUIRED',
      message: /nobody at that port/,
    });
    plain.close();
  } finally {
    delete process.env['ANOLE_SMC_POLICY'];
    server.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

test('connections to a port stay on TCP once those before were short, until they are not', {
  skip,
}, async (t) => {
  const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const connected = async (writes: number) => {
    const socket = net.connect(port, '127.0.0.1').resume();
    await once(socket, 'connect');
    for (let count = 0; count < writes; count++) socket.write('some');
    socket.end();
    await once(socket, 'close');
    const { transport, reason } = smcState(socket)!;
    return transport === 'tcp' ? reason?.name : transport;
  };
  const many = async (count: number, writes: number) => {
    const all: unknown[] = [];
    for (let at = 0; at < count; at++) all.push(await connected(writes));
    return all;
  };
  const short = await many(56, 1);
  assert.equal(short[0], 'smc-d');
  const late = short.slice(-32).filter((each) => each === 'short');
  assert.equal(late.length, 31, 'one in 32 tries again');
  const long = await many(60, 10);
  assert.equal(long.at(-1), 'smc-d', 'they show that it is worth it');
});
