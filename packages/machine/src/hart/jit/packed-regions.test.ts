import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../../isa/assemble.ts';
import { Explorer } from './explore.ts';
import { packRegions, unpackRegions } from './packed-regions.ts';

test('regions are the same after they were words', () => {
  const words = assemble(
    `start: addi a0, a0, -1
    beq a0, zero, out
    jal ra, callee
    fadd.d fa0, fa1, fa2
    csrrw a1, 0x140, a0
    jal zero, start
    callee: ld a2, 8(sp)
    jalr zero, 0(ra)
    out: jalr zero, 0(a5)`,
    0x8000_0000n,
  );
  const halves = new Uint16Array(words.buffer, words.byteOffset, words.length * 2);
  const regions = [0, 24].map((entry) => {
    const explorer = new Explorer(
      (offset) => halves[offset / 2],
      () => false,
      320,
    );
    explorer.explore([entry]);
    const region = explorer.region();
    const isLoose = entry === 24;
    return {
      ...region,
      isLoose,
      places: new Map(region.pages.map((page) => [page, page - 0x7000_0000])),
    };
  });
  assert.ok(regions.every(({ entries, blocks }) => entries.length > 0 && blocks.length > 0));
  assert.deepEqual(unpackRegions(packRegions(regions)), regions);
});
