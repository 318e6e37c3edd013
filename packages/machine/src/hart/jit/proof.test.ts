import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compiledCsrs } from './csrs.ts';
import { unpackRegions } from './packed-regions.ts';
import { proofOf, proofRegions } from './proof.ts';

test('the proof of a compiler has every CSR that is compiled', () => {
  const regions = unpackRegions(proofRegions());
  assert.ok(regions.every(({ entries }) => entries.length === 1));
  const steps = regions.flatMap(({ blocks }) => blocks.flatMap((block) => block.steps));
  const csrs = steps.filter(({ instruction }) => instruction.fields.has('csr'));
  assert.deepEqual(new Set(csrs.map(({ word }) => word >>> 20)), compiledCsrs);
  assert.ok(WebAssembly.validate(proofOf(proofRegions())));
});
