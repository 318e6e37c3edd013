import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
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

test('a thread that is ended while it loads or uses the add-on does not take the process along', () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-threads-'));
  const module = (name: string) => JSON.stringify(import.meta.resolve(name));
  try {
    const path = join(directory, 'thread.ts');
    writeFileSync(
      path,
      `import { parentPort } from 'node:worker_threads';
       import { native, viewAt, addressOf } from ${module('./native/koffi.ts')};
       parentPort!.postMessage('loads');
       const bytes = new Uint8Array(10);
       for (;;) {
         native('int getpid()')();
         viewAt(addressOf(bytes), 10);
       }`,
    );
    const main = join(directory, 'main.ts');
    writeFileSync(
      main,
      `import { once } from 'node:events';
       import { setTimeout } from 'node:timers/promises';
       import { startThread } from ${module('./threads.ts')};
       for (let turn = 0; turn < 10; turn++) {
         const thread = startThread(new URL('thread.ts', import.meta.url));
         await once(thread, 'message');
         await setTimeout(2 * turn);
         if (turn === 9) process.exit(7);
         await thread.terminate();
       }`,
    );
    const args = ['-C', 'anole-source', '--disable-warning=ExperimentalWarning', main];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.deepEqual([status, stderr], [7, '']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
