import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { eventCounter } from './event-counter.ts';
import { hasNative } from './koffi.ts';
import { readable } from './readiness.ts';

const one = new Uint8Array(new BigUint64Array([1n]).buffer);
/** More than Node's pool has threads, and than koffi has calls that wait. */
const MANY = 300;

describe('descriptors that are waited for', { skip: hasNative() ? false : 'needs koffi' }, () => {
  it('have one thread for all, and the others are left to files', async (test) => {
    const counters = Array.from({ length: MANY }, () => eventCounter());
    test.after(() => counters.forEach((fd) => void closeSync(fd)));
    const done: number[] = [];
    const waits = counters.map(async (fd, at) => {
      await readable(fd);
      done.push(at);
    });
    const own = await readFile('/proc/self/stat', 'utf8');
    assert.ok(own.length > 0, 'files are read meanwhile');
    assert.deepEqual(done, []);
    writeSync(counters[7]!, one);
    while (done.length === 0) await turn();
    assert.deepEqual(done, [7]);
    for (const [at, fd] of counters.entries()) if (at !== 7) writeSync(fd, one);
    await Promise.all(waits);
    assert.equal(done.length, MANY);
    // What can be read is told again, as often as it is asked for.
    await readable(counters[7]!);
    await Promise.all([readable(counters[7]!), readable(counters[8]!)]);
  });

  it('keep no process from ending', () => {
    const program = `
      import { eventCounter } from ${JSON.stringify(`${import.meta.dirname}/event-counter.ts`)};
      import { readable } from ${JSON.stringify(`${import.meta.dirname}/readiness.ts`)};
      void readable(eventCounter());
      setTimeout(() => process.exit(7), 50);
    `;
    const words = ['-C', 'anole-source', '--input-type=module', '-e', program];
    const { status, stderr } = spawnSync(process.execPath, words, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(status, 7, stderr);
  });
});
