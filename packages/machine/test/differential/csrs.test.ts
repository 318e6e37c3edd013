import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csrProgram, firstCsrDifference } from './csrs.ts';
import { runOnOurs } from './ours.ts';
import { missingQemu, runOnQemu } from './qemu.ts';
import { Random } from './random.ts';

// By hand: SEEDS=100 node -C anole-source --test packages/machine/test/differential/*.test.ts
const seeds = Number(process.env['SEEDS'] ?? 3);
const firstSeed = Number(process.env['FIRST_SEED'] ?? 1);

test('privileged registers keep of random values what they keep in QEMU', {
  skip: missingQemu(),
}, async () => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const program = csrProgram(new Random(seed));
    const [theirs, ours] = await Promise.all([
      runOnQemu(program.elf, ',h=false'),
      runOnOurs(program.segments),
    ]);
    assert.equal(firstCsrDifference(program, ours, theirs), undefined, `seed ${seed}`);
  }
});
