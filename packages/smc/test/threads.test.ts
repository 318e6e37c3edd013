import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { hasNative } from '@anole/host/native';
import net, { smcState } from '@anole/smc/net';

const skip = hasNative() ? false : 'koffi is not installed for this platform';
const register = join(import.meta.dirname, '../src/register.ts');
const execArgv = ['-C', 'anole-source', '--import', register];

async function askOnce(port: number): Promise<{ answer: string; transport: string | undefined }> {
  const socket = net.connect(port, '127.0.0.1');
  socket.write('who');
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  const transport = smcState(socket)?.transport;
  socket.destroy();
  return { answer: String(bytes), transport };
}

test('the workers of a cluster take connections over shared memory', { skip }, async () => {
  const child: ChildProcess = fork(join(import.meta.dirname, 'cluster-worker.ts'), { execArgv });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const answers = await Promise.all(Array.from({ length: 8 }, () => askOnce(port)));
  assert.ok(new Set(answers.map(({ answer }) => answer)).size === 2, 'both workers answer');
  assert.deepEqual([...new Set(answers.map(({ transport }) => transport))], ['smc-d']);
  child.disconnect();
  await once(child, 'exit');
});

test('a worker thread shares memory with the thread that started it', { skip }, async () => {
  const worker = new Worker(join(import.meta.dirname, 'thread-worker.ts'), { execArgv });
  const [port] = (await once(worker, 'message')) as [number];
  const { answer, transport } = await askOnce(port);
  assert.deepEqual([answer, transport], ['who', 'smc-d']);
  await worker.terminate();
});

const connecting = JSON.stringify(join(import.meta.dirname, 'connecting-worker.ts'));

test('a program may end its threads at any moment of a connection', { skip }, async () => {
  const main = `
    const { once } = require('node:events');
    const { Worker } = require('node:worker_threads');
    const net = require('node:net');
    const server = net.createServer((socket) => socket.on('error', () => {}).pipe(socket));
    server.listen(0, '127.0.0.1', async () => {
      for (let turn = 0; turn < 12; turn++) {
        const thread = new Worker(${connecting}, { workerData: server.address().port });
        await once(thread, 'message');
        for (const end = performance.now() + turn / 4; performance.now() < end; );
        await thread.terminate();
      }
      process.exit(7);
    });`;
  const child = spawn(process.execPath, [...execArgv, '-e', main], { stdio: 'inherit' });
  assert.deepEqual(await once(child, 'exit'), [7, null]);
});

test('a thread that could be cut off in the middle stays on TCP, and says why', {
  skip,
}, async (t) => {
  const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // This program does not load what asks before it ends a thread.
  const main = `
    const { Worker } = require('node:worker_threads');
    const execArgv = ${JSON.stringify(execArgv)};
    const thread = new Worker(${connecting}, { workerData: ${port}, execArgv });
    thread.on('message', (message) => {
      console.log(...message);
      process.exit();
    });`;
  const child = spawn(process.execPath, ['-e', main], { stdio: ['ignore', 'pipe', 'inherit'] });
  const output = Buffer.concat(await child.stdout.toArray());
  assert.equal(String(output), 'hello thread\n');
});
