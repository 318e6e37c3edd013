import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delegationProgram, firstTrapDifference } from './delegation.ts';
import { runOnOurs } from './ours.ts';
import { missingQemu, runOnQemu } from './qemu.ts';
import { Random } from './random.ts';

// By hand: SEEDS=100 node -C anole-source --test packages/machine/test/differential/*.test.ts
const seeds = Number(process.env['SEEDS'] ?? 3);
const firstSeed = Number(process.env['FIRST_SEED'] ?? 1);

test('exceptions are taken in the mode that they are delegated to, with what QEMU tells of them', {
  skip: missingQemu(),
}, async () => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const program = delegationProgram(new Random(seed));
    const [theirs, ours, compiled] = await Promise.all([
      runOnQemu(program.elf, ',h=false'),
      runOnOurs(program.segments),
      runOnOurs(program.segments, { threshold: 1, batch: 1 }),
    ]);
    assert.equal(firstTrapDifference(program, ours, theirs), undefined, `seed ${seed}`);
    assert.equal(
      firstTrapDifference(program, compiled, theirs),
      undefined,
      `compiled, seed ${seed}`,
    );
  }
});
