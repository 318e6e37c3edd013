import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Session } from './session.ts';
import { targets } from './targets.ts';

/** A deterministic share of what tools/fuzz.ts does for hours. */
const MUTANTS = 400;

for (const target of targets) {
  test(`${target.name} takes whatever comes: the corpus and ${MUTANTS} mutants`, async () => {
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
