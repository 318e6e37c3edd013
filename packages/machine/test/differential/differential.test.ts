import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstDifference } from './compare.ts';
import { runOnOurs } from './ours.ts';
import { randomProgram } from './program.ts';
import { missingQemu, runOnQemu } from './qemu.ts';

// By hand: SEEDS=100 node -C anole-source --test packages/machine/test/differential/*.test.ts
const seeds = Number(process.env['SEEDS'] ?? 3);
const firstSeed = Number(process.env['FIRST_SEED'] ?? 1);

test('random programs leave the same registers, memory, flags and traps as in QEMU', {
  skip: missingQemu(),
}, async () => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const program = randomProgram(seed, 200, 60);
    const [theirs, ours] = await Promise.all([runOnQemu(program.elf), runOnOurs(program.segments)]);
    assert.equal(firstDifference(program, ours, theirs), undefined, `seed ${seed}`);
  }
});
