import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { startThread, threadArguments } from './threads.ts';

test('threads keep what says where modules are, which warnings are wanted, and profiles', () => {
  const given = ['-C', 'x', '--conditions=y', '--input-type=module', '--expose-gc', '-e', 'code'];
  assert.deepEqual(threadArguments(given), ['-C', 'x', '--conditions=y']);
  const more = ['--disable-warning=ExperimentalWarning', '--cpu-prof', '--cpu-prof-dir=/tmp'];
  assert.deepEqual(threadArguments([...more, '--test']), more);
});

test('a thread runs a module with types, has its data, and tells of its errors', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-threads-'));
  try {
    const path = join(directory, 'module.ts');
    writeFileSync(
      path,
      `import { parentPort, workerData } from 'node:worker_threads';
       const data: string = workerData;
       parentPort!.postMessage(data);
       parentPort!.once('message', () => { throw new Error('as asked'); });`,
    );
    const thread = startThread(pathToFileURL(path), { workerData: 'hello' });
    assert.deepEqual(await once(thread, 'message'), ['hello']);
    const failed = once(thread, 'error');
    thread.postMessage('fail');
    assert.equal(((await failed)[0] as Error).message, 'as asked');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
