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
    const [theirs, ours, compiled] = await Promise.all([
      runOnQemu(program.elf),
      runOnOurs(program.segments),
      // At once, only the page at hand is known; later, code of both pages is one.
      runOnOurs(program.segments, { threshold: 1 + (seed % 3), batch: 1 }),
    ]);
    assert.equal(firstDifference(program, ours, theirs), undefined, `seed ${seed}`);
    assert.equal(firstDifference(program, compiled, theirs), undefined, `compiled, seed ${seed}`);
  }
});

test('compiled code leaves what interpreted code leaves, however often it is interrupted', async () => {
  const program = randomProgram(firstSeed + 1000, 100, 60);
  const interpreted = await runOnOurs(program.segments);
  for (const [threshold, batch, slice] of [
    [1, 1, 7],
    [1, 1, 61],
    [2, 1, 1000],
    [1, 8, 300],
  ] as const) {
    const compiled = await runOnOurs(program.segments, { threshold, batch }, slice);
    assert.equal(firstDifference(program, compiled, interpreted), undefined, `slices of ${slice}`);
  }
});
