import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource } from '@anole/bytes';
import { checkErofs } from '@anole/erofs';
import { Session } from './session.ts';
import { targets } from './targets.ts';

test('the images that the fuzzer damages are sound', async () => {
  const images = targets.find(({ name }) => name === 'erofs')!.seeds;
  assert.ok(images.size >= 15);
  for (const [name, bytes] of images) {
    const { findings, blocks } = await checkErofs(memorySource(bytes));
    assert.deepEqual(findings, [], name);
    assert.ok(blocks.unused <= 1, name);
  }
});

/** A deterministic share of what tools/fuzz.ts does for hours. */
const MUTANTS = 400;

for (const target of targets) {
  const skip = target.missing ?? false;
  test(`${target.name} takes whatever comes: the corpus and ${MUTANTS} mutants`, {
    skip,
  }, async () => {
    const session = new Session(target);
    assert.ok(target.seeds.size > 0);
    await session.replay();
    for (let number = 1; number <= MUTANTS; number++) {
      const { bytes } = session.mutant(number);
      try {
        await target.run(bytes);
      } catch (error) {
        throw new Error(`mutant ${number}`, { cause: error });
      }
    }
    assert.ok(session.kinds > 0);
  });
}
