import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
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
