import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { startThread } from './threads.ts';

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

/** How a program starts threads that load and use the add-on: by us, by itself, and by a thread of its own. */
const starts = {
  ours: `return startThread(new URL('thread.ts', import.meta.url));`,
  own: `guardThreads(); return new workers.Worker(new URL('thread.ts', import.meta.url));`,
  nested: `guardThreads(); return new workers.Worker(new URL('middle.ts', import.meta.url));`,
};

for (const [name, start] of Object.entries(starts)) {
  test(`a thread that is ended while it loads or uses the add-on does not take the process along: ${name}`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'anole-threads-'));
    const module = (path: string) => JSON.stringify(import.meta.resolve(path));
    const files = {
      'thread.ts': `
        import { parentPort } from 'node:worker_threads';
        import { native, viewAt, addressOf } from ${module('./native/koffi.ts')};
        parentPort!.postMessage('loads');
        const bytes = new Uint8Array(10);
        for (;;) {
          native('int getpid()')();
          viewAt(addressOf(bytes), 10);
        }`,
      'middle.ts': `
        import { parentPort, Worker } from 'node:worker_threads';
        import { guardThreads } from ${module('./threads.ts')};
        guardThreads();
        const inner = new Worker(new URL('thread.ts', import.meta.url));
        inner.on('message', (message) => parentPort!.postMessage(message));`,
      'main.ts': `
        import { once } from 'node:events';
        import { setTimeout } from 'node:timers/promises';
        import workers from 'node:worker_threads';
        import { guardThreads, startThread } from ${module('./threads.ts')};
        const start = () => { ${start} };
        for (let turn = 0; turn < 10; turn++) {
          const thread = start();
          await once(thread, 'message');
          await setTimeout(2 * turn);
          if (turn === 9) process.exit(7);
          await thread.terminate();
        }`,
    };
    try {
      for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text);
      const args = ['-C', 'anole-source', '--disable-warning=ExperimentalWarning'];
      const all = [...args, join(directory, 'main.ts')];
      const { status, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
      assert.deepEqual([status, stderr], [7, '']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

test('a thread whose program knows nothing of gates finds itself unguarded', async () => {
  const code = `import(${JSON.stringify(import.meta.resolve('./uninterrupted.ts'))}).then(
    ({ isGuarded }) => require('node:worker_threads').parentPort.postMessage(isGuarded));`;
  const plain = new Worker(code, { eval: true });
  assert.deepEqual(await once(plain, 'message'), [false]);
  const { isGuarded } = await import('./uninterrupted.ts');
  assert.ok(isGuarded, 'nobody ends the main thread alone');
});
