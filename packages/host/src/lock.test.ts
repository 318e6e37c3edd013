import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { acquireLock, withLock } from './lock.ts';
import { otherProcess, scratchDirectory } from './scratch.fixture.ts';

test('a lock has one holder at a time in one process, and stays an empty file', async (context) => {
  const path = join(scratchDirectory(context), 'locks/one');
  let inside = 0;
  const work = async () => {
    assert.equal(++inside, 1);
    await new Promise(setImmediate);
    inside--;
  };
  await Promise.all([withLock(path, work), withLock(path, work), withLock(path, work)]);
  assert.equal(statSync(path).size, 0);
});

test('a lock that is held is refused at once to who will not wait', async (context) => {
  const path = join(scratchDirectory(context), 'lock');
  await using held = await acquireLock(path);
  let waits = 0;
  const options = { patience: 0, onWait: () => waits++ };
  await assert.rejects(acquireLock(path, options), { code: 'HOST_LOCKED' });
  held.release();
  (await acquireLock(path, options)).release();
  assert.equal(waits, 0);
});

test('holders that share exclude only those that do not', async (context) => {
  const path = join(scratchDirectory(context), 'lock');
  const one = await acquireLock(path, { shared: true });
  const other = await acquireLock(path, { shared: true, patience: 0 });
  await assert.rejects(acquireLock(path, { patience: 0 }), { code: 'HOST_LOCKED' });
  one.release();
  await assert.rejects(acquireLock(path, { patience: 0 }), { code: 'HOST_LOCKED' });
  other.release();
  await using _alone = await acquireLock(path, { patience: 0 });
  await assert.rejects(acquireLock(path, { shared: true, patience: 0 }), { code: 'HOST_LOCKED' });
  assert.equal(statSync(path).size, 0);
});

test('waiting for a lock ends with an abort', async (context) => {
  const path = join(scratchDirectory(context), 'lock');
  await using _held = await acquireLock(path);
  const abort = new AbortController();
  const waiting = acquireLock(path, { signal: abort.signal, onWait: () => abort.abort() });
  await assert.rejects(waiting, { name: 'AbortError' });
});

test('a lock excludes other processes until their holder is killed', async (context) => {
  const path = join(scratchDirectory(context), 'lock');
  const holder = otherProcess(
    context,
    `import { acquireLock } from './lock.ts';
     await acquireLock(${JSON.stringify(path)});
     console.log('locked');
     setInterval(() => {}, 1000);`,
  );
  await holder.said('locked');
  await assert.rejects(acquireLock(path, { patience: 0 }), { code: 'HOST_LOCKED' });
  holder.kill();
  assert.equal(await holder.ended, 'SIGKILL');
  (await acquireLock(path, { patience: 0 })).release();
});
