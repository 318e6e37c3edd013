import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { isPromise } from '@anole/bytes';
import { run } from '../test/tools.ts';
import { FuseRequests, MAX_WRITE, readsElsewhere, readsHere } from './fuse-requests.ts';
import { hasNative } from './native/index.ts';
import { neverWait } from './native/read-now.ts';
import { scratchDirectory } from './scratch.fixture.ts';

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

/** Counts calls of files that Node makes in other threads. */
function countingFileCalls(counts: { begun: number; done: number }): Disposable {
  const calls = new Set<number>();
  const hook = createHook({
    init(id, type) {
      if (type !== 'FSREQCALLBACK') return;
      calls.add(id);
      counts.begun++;
    },
    after(id) {
      if (calls.has(id)) counts.done++;
    },
  }).enable();
  return { [Symbol.dispose]: () => void hook.disable() };
}

describe('requests of a mount', () => {
  for (const reads of hasNative() ? [readsHere, readsElsewhere] : [readsElsewhere]) {
    const isNative = reads === readsHere;
    // What is read are messages: any device will do that gives one at a time.
    it(`are waited for, ${isNative ? 'here and elsewhere' : 'elsewhere'}`, async (test) => {
      const path = join(scratchDirectory(test), 'device');
      run(['mkfifo', path]);
      const device = openSync(path, 'r+');
      test.after(() => closeSync(device));
      const writer = openSync(path, 'w');
      test.after(() => closeSync(writer));
      const requests = new FuseRequests(device, 4096, reads);
      const waiting = requests.next();
      assert.ok(isPromise(waiting), 'nothing is there');
      writeSync(writer, 'first');
      const first = await waiting;
      assert.equal(text(first), 'first');
      writeSync(writer, 'second');
      const there = requests.next();
      assert.equal(isPromise(there), !isNative);
      const second = await there;
      assert.equal(text(second), 'second');
      assert.equal(text(first), 'first', 'each has memory of its own');
      requests.free(second!, false);
      writeSync(writer, 'third');
      const third = await requests.next();
      assert.equal(text(third), 'third');
      assert.equal(third!.buffer, second!.buffer, 'which is used again');
    });
  }

  it('are looked for now and then where a program before had them never wait', {
    skip: hasNative() ? false : 'needs koffi',
  }, async (test) => {
    const path = join(scratchDirectory(test), 'device');
    run(['mkfifo', path]);
    const device = openSync(path, 'r+');
    test.after(() => closeSync(device));
    neverWait(device);
    test.mock.timers.enable({ apis: ['setTimeout'] });
    const reads = { begun: 0, done: 0 };
    using _ = countingFileCalls(reads);
    const next = new FuseRequests(device, 4096, readsElsewhere).next();
    while (reads.done === 0) await turn();
    for (let turns = 0; turns < 3; turns++) await turn();
    assert.deepEqual(reads, { begun: 1, done: 1 }, 'it rests');
    writeSync(device, 'request');
    test.mock.timers.tick(5);
    assert.equal(text(await next), 'request');
  });

  it('are read into more memory where a server before told the kernel of it', async () => {
    const failure = (code: string) => Object.assign(new Error(code), { code });
    for (const isLate of [false, true]) {
      const codes = ['EINTR', 'EINVAL', 'ENOENT'];
      const sizes: number[] = [];
      const read = (_: number, buffer: Uint8Array) => {
        sizes.push(buffer.length);
        const code = codes.shift();
        if (code !== undefined) throw failure(code);
        return 100;
      };
      const late = async (...given: Parameters<typeof read>) => read(...given);
      const wait = () => assert.fail('something is there');
      const requests = new FuseRequests(0, 4096, { read: isLate ? late : read, wait });
      assert.equal((await requests.next())?.length, 100);
      const [small, large] = [32 * 1024, MAX_WRITE + 8192];
      assert.deepEqual(sizes, [small, small, large, large]);
      codes.push('EINVAL');
      await assert.rejects(async () => await requests.next(), { code: 'HOST_IO' });
      codes.push('ENODEV');
      assert.equal(await requests.next(), undefined);
    }
  });
});
