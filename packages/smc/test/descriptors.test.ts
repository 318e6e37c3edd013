import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hasNative } from '@anole/host/native';
import net, { smcState } from '@anole/smc/net';

// Short connections are what most tests make.
process.env['ANOLE_SMC_POLICY'] = join(import.meta.dirname, 'always.json');
const skip = hasNative() ? false : 'koffi is not installed for this platform';
const register = join(import.meta.dirname, '../src/register.ts');
const flags = ['-C', 'anole-source', '--import', register];
let echo: ChildProcess;
let port = 0;

before(async () => {
  if (skip) return;
  echo = fork(join(import.meta.dirname, 'peer.ts'), ['echo'], { execArgv: flags });
  [{ port }] = (await once(echo, 'message')) as [{ port: number }];
});
after(() => echo?.disconnect());

/** A program that may have 100 descriptors. */
function limited(source: string, stdio: ('ignore' | 'pipe' | 'inherit' | 'ipc')[]): ChildProcess {
  const node = [process.execPath, ...flags, '-e', source];
  return spawn('sh', ['-c', 'ulimit -n 100; exec "$@"', 'sh', ...node], { stdio });
}

test('a client that has no descriptors left goes over TCP, and shares memory when it has', {
  skip,
}, async () => {
  const source = `
    const fs = require('node:fs'), net = require('node:net');
    const ask = () => new Promise((resolve, reject) => {
      const socket = net.connect(${port}, '127.0.0.1');
      socket.end('asked');
      socket.on('error', reject);
      socket.on('data', (bytes) => resolve(bytes + ' ' + socket.smc.transport));
    });
    (async () => {
      await new Promise((resolve) => net.connect(1, '127.0.0.1').on('error', resolve));
      const taken = [];
      try { for (;;) taken.push(fs.openSync('/dev/null')); } catch {}
      // One for TCP; one for the Unix socket, but none for memory.
      for (const free of [1, 2, 3]) {
        fs.closeSync(taken.pop());
        console.log(free, await ask());
      }
      for (const each of taken) fs.closeSync(each);
      console.log('all', await ask());
    })();`;
  const child = limited(source, ['ignore', 'pipe', 'inherit']);
  const lines = Buffer.concat(await child.stdout!.toArray())
    .toString()
    .trim()
    .split('\n');
  assert.deepEqual(lines[0], '1 asked tcp');
  assert.ok(
    lines.slice(1, 3).every((line) => /^\d asked (tcp|smc-d)$/.test(line)),
    lines.join(),
  );
  assert.equal(lines[3], 'all asked smc-d');
});

test('a server that has no descriptors left is talked to over TCP, and shares memory when it has', {
  skip,
}, async () => {
  const source = `
    const fs = require('node:fs'), net = require('node:net');
    const taken = [];
    const server = net.createServer((socket) => socket.on('error', () => {}).pipe(socket));
    server.listen(0, '127.0.0.1', () => process.send(server.address().port));
    process.on('disconnect', () => process.exit());
    process.on('message', (free) => {
      try { while (taken.length < 1000) taken.push(fs.openSync('/dev/null')); } catch {}
      for (let at = 0; at < free && taken.length > 0; at++) fs.closeSync(taken.pop());
      process.send('so it is');
    });`;
  const child = limited(source, ['ignore', 'ignore', 'inherit', 'ipc']);
  const [at] = (await once(child, 'message')) as [number];
  // One for TCP; then one for the Unix socket, but none for memory; in the end all.
  for (const free of [1, 2, 3, 1000]) {
    child.send(free);
    await once(child, 'message');
    const socket = net.connect(at, '127.0.0.1');
    socket.end('asked');
    assert.equal(Buffer.concat(await socket.toArray()).toString(), 'asked', `${free} free`);
    const { transport } = smcState(socket)!;
    if (free === 1) assert.equal(transport, 'tcp');
    if (free === 1000) assert.equal(transport, 'smc-d');
  }
  child.disconnect();
  await once(child, 'exit');
});
