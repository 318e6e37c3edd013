import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fetchKernel } from '@anole/compose';
import { Machine } from '@anole/machine';

/** A program that goes on with the snapshot it is given, and tells in JSON how that went. */
const program = `
  import { fileSource } from '@anole/host';
  import { Machine, openSnapshot } from '@anole/machine';
  let log = '';
  const onSerial = (bytes) => { log += Buffer.from(bytes).toString('latin1'); };
  const snapshot = openSnapshot(fileSource(process.argv[1]));
  const machine = await Machine.restore({ snapshot, onSerial });
  const exit = await machine.run();
  console.log(JSON.stringify({ exit, log, instructions: machine.statistics.instructions }));`;

describe('a booting kernel that was saved', () => {
  it('goes on in another process, instruction by instruction', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'anole-snapshot-'));
    try {
      const path = join(directory, 'snapshot');
      let log = '';
      let before = 0;
      let saved: Promise<void> | undefined;
      const machine = await Machine.create({
        kernel: readFileSync((await fetchKernel()).path),
        memoryMiB: 128,
        commandLine: 'console=ttyS0 cryptomgr.notests panic=-1',
        clock: 'instructions',
        onSerial: (bytes) => {
          log += Buffer.from(bytes).toString('latin1');
          if (!/devtmpfs: initialized/.test(log)) return;
          // Not at once: the kernel is in the middle of its line.
          saved ??= save(machine, path).then(() => {
            before = log.length;
          });
        },
      });
      const exit = await machine.run();
      await saved;
      assert.ok(before > 0);
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ['-C', 'anole-source', '--input-type=module', '-e', program, path],
        { cwd: import.meta.dirname, encoding: 'utf8' },
      );
      assert.equal(stderr, '');
      const copy = JSON.parse(stdout) as { exit: object; log: string; instructions: number };
      assert.deepEqual(copy.exit, exit);
      assert.equal(exit.reason, 'panic'); // there is no root file system
      assert.ok(copy.log.length > 1000);
      assert.ok(log.endsWith(copy.log));
      assert.equal(copy.instructions, machine.statistics.instructions);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

async function save(machine: Machine, path: string): Promise<void> {
  const file = openSync(path, 'w');
  await machine.save((chunk) => void writeSync(file, chunk));
  closeSync(file);
}
