import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Generation } from './device.ts';

describe('the generation of a machine', () => {
  it('is told by an interrupt that lasts until it is read', () => {
    const levels: boolean[] = [];
    const generation = new Generation((asserted) => levels.push(asserted));
    assert.equal(generation.read(0, 4), 0);
    levels.length = 0;
    generation.renew((id) => id.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]));
    assert.deepEqual([levels, generation.state.isNew], [[true], true]);
    generation.write();
    assert.equal(generation.read(0, 4), 0x0403_0201);
    assert.deepEqual([levels, generation.state.isNew], [[true, false], false]);
    assert.equal(generation.read(14, 2), 0x100f);
    assert.equal(generation.read(15, 1), 16);
  });

  it('has nothing behind its id', () => {
    const generation = new Generation(() => {});
    generation.renew((id) => id.fill(255));
    for (const [offset, size] of [
      [16, 4],
      [4095, 1],
      [16, 1],
    ] as const) {
      assert.equal(generation.read(offset, size), 0);
    }
    assert.ok(generation.state.isNew);
  });
});
