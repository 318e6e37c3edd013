import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fetchKernel } from '@anole/compose';
import { Machine } from '@anole/machine';

/** Instructions between two checkpoints, at least: one is at the next output of the kernel. */
const INTERVAL = 40_000_000;

/** Boots a kernel that finds no root, with a clock of instructions. */
async function boot(kernel: Uint8Array, jit: boolean) {
  const digests: string[] = [];
  let next = INTERVAL;
  const saves: Promise<void>[] = [];
  /** Of a snapshot at the end of the slice at hand: registers, devices and memory. */
  const check = async (): Promise<void> => {
    const hash = createHash('sha256');
    await machine.save((chunk) => void hash.update(chunk));
    digests.push(hash.digest('hex'));
  };
  const machine = await Machine.create({
    kernel,
    memoryMiB: 128,
    commandLine: 'earlycon=sbi console=ttyS0 cryptomgr.notests panic=-1',
    clock: 'instructions',
    jit,
    onSerial: () => {
      const { instructions } = machine.statistics;
      if (instructions < next) return;
      next = instructions + INTERVAL;
      saves.push(check());
    },
  });
  const exit = await machine.run();
  await Promise.all(saves);
  return { reason: exit.reason, digests, instructions: machine.statistics.instructions };
}

describe('a booting kernel', () => {
  it('goes through the same states, interpreted and compiled', async () => {
    const kernel = readFileSync((await fetchKernel()).path);
    const interpreted = await boot(kernel, false);
    assert.equal(interpreted.reason, 'panic');
    assert.ok(interpreted.digests.length >= 4);
    assert.deepEqual(await boot(kernel, true), interpreted);
  });
});
