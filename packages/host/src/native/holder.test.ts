import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  activityOf,
  holdDescriptors,
  isRunning,
  killProcess,
  processId,
  takeDescriptors,
} from './holder.ts';
import { hasNative } from './koffi.ts';

const skip = hasNative() ? false : 'koffi is not installed';

async function gone(id: Parameters<typeof isRunning>[0]): Promise<void> {
  for (let turn = 0; isRunning(id); turn++) {
    assert.ok(turn < 30_000, 'it still runs after five minutes');
    await sleep(10);
  }
}

describe('a process that holds descriptors', { skip }, () => {
  it('gives them back, also when the file is gone', async (test) => {
    const directory = mkdtempSync(join(tmpdir(), 'anole-holder-'));
    test.after(() => rmSync(directory, { recursive: true, force: true }));
    const path = join(directory, 'file');
    writeFileSync(path, 'kept');
    const fd = openSync(path, 'r');
    const { id, stay } = await holdDescriptors([fd, fd]);
    await stay();
    closeSync(fd);
    rmSync(path);
    test.after(() => killProcess(id));
    const taken = takeDescriptors(id, 2) ?? assert.fail('it is gone');
    const bytes = Buffer.alloc(4);
    readSync(taken[1]!, bytes, 0, 4, 0);
    assert.equal(bytes.toString(), 'kept');
    for (const each of taken) closeSync(each);
    assert.throws(() => takeDescriptors(id, 3), { code: 'HOST_IO' });
    killProcess(id);
    await gone(id);
    assert.equal(takeDescriptors(id, 2), undefined);
  });

  it('outlives its maker once it was told to stay, and not before', async (test) => {
    const script = `
      const { writeSync } = await import('node:fs');
      const { holdDescriptors } = await import(${JSON.stringify(join(import.meta.dirname, 'holder.ts'))});
      const staying = await holdDescriptors([1]);
      await staying.stay();
      const other = await holdDescriptors([1]);
      writeSync(2, JSON.stringify([staying.id, other.id]));
      process.kill(process.pid, 'SIGKILL');`;
    const args = ['-C', 'anole-source', '--input-type=module', '-e', script];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const [staying, other] = JSON.parse(Buffer.concat(await child.stderr.toArray()).toString());
    test.after(() => killProcess(staying));
    await gone(other);
    assert.ok(isRunning(staying));
    killProcess(staying);
    await gone(staying);
  });

  it('is not taken for another of its number', () => {
    const own = processId(process.pid)!;
    assert.ok(isRunning(own));
    assert.ok(!isRunning({ ...own, since: `${own.since}0` }));
    assert.equal(processId(2 ** 22 + 1), undefined);
    assert.ok(readFileSync('/proc/self/stat', 'utf8').includes(own.since.split(' ')[1]!));
  });
});

describe('what a process does', () => {
  it('is what its first thread does: another may compute while that one waits for itself', async (test) => {
    const script = `
      const { Worker } = require('node:worker_threads');
      const ready = new Int32Array(new SharedArrayBuffer(4));
      new Worker('require("node:worker_threads").workerData.fill(1); for (;;);', {
        eval: true,
        workerData: ready,
      });
      const look = () => {
        if (Atomics.load(ready, 0) === 0) return setTimeout(look, 1);
        require('node:fs').writeSync(1, 'waits');
        Atomics.wait(ready, 0, 1);
      };
      look();`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    test.after(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    const all = () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      return 10 * (Number(fields[11]) + Number(fields[12]));
    };
    const [before, ofAll] = [activityOf(child.pid!)!, all()];
    while (all() - ofAll < 200) await sleep(10);
    const now = activityOf(child.pid!)!;
    assert.equal(now.isRunnable, false);
    assert.ok(now.used - before.used < 100, `${now.used - before.used} ms of 200`);
  });
});
