import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BASE, makeHart, place, squares, type TestHart } from '../testing.ts';

const eager = { threshold: 1, batch: 1 };
/** Compiles nothing itself: what it has was shared with it. */
const idle = { threshold: 2 ** 30, batch: 32 };

const sumFrom = (hart: TestHart['hart']) => [hart.readX(9), hart.readX(18)];

async function started(jit: typeof eager, text = squares): Promise<TestHart> {
  const test = await makeHart({ jit });
  place(test, text);
  test.hart.reset({ pc: BigInt(BASE) });
  return test;
}

/** A hart that goes on where another one is, with RAM like its RAM and its code. */
async function childOf({ hart, memory }: TestHart): Promise<TestHart> {
  const child = await makeHart({ jit: idle });
  child.memory.writable(BASE, memory.size).set(memory.readable(BASE, memory.size));
  child.hart.restoreState(hart.saveState());
  child.hart.adoptCode(structuredClone(hart.shareCode()!));
  return child;
}

describe('code that a hart shares', () => {
  test('is entered by the hart that takes it, whatever its own RAM says', async () => {
    const parent = await started(eager);
    parent.hart.run(1000);
    const other = await started(idle, squares.replace('s1, s1, 1', 's1, s1, 2'));
    other.hart.adoptCode(parent.hart.shareCode()!);
    other.hart.run(1000);
    assert.deepEqual(sumFrom(other.hart), sumFrom(parent.hart));
  });

  test('leaves state as it is without, in slices of all lengths', async () => {
    const parent = await started(eager);
    parent.hart.run(501);
    const child = await childOf(parent);
    const grandchild = await childOf(child);
    for (let slice = 1; slice < 60; slice++) {
      for (const { hart } of [parent, child, grandchild]) hart.run(slice);
      assert.deepEqual(child.hart.saveState(), parent.hart.saveState());
      assert.deepEqual(grandchild.hart.saveState(), parent.hart.saveState());
    }
  });

  test('is gone in one that writes over it, and stays with its siblings', async () => {
    const parent = await started(eager);
    parent.hart.run(500);
    const [one, sibling] = [await childOf(parent), await childOf(parent)];
    const there = parent.hart.shareCode()!.functions.length;
    assert.ok(there > 0);
    place(one, squares.replace('s1, s1, 1', 's1, s1, 7'));
    assert.equal(one.hart.shareCode()!.functions.length, 0);
    assert.equal(sibling.hart.shareCode()!.functions.length, there);
    const plain = await started(idle);
    plain.hart.run(1000);
    for (const { hart } of [parent, one, sibling]) hart.run(500);
    for (const { hart } of [parent, sibling]) assert.deepEqual(sumFrom(hart), sumFrom(plain.hart));
    assert.notDeepEqual(sumFrom(one.hart), sumFrom(plain.hart));
  });

  test('a store of the guest over code that was not entered yet counts', async () => {
    // The instruction at 28 becomes `addi a0, a0, 5` once t3 is 0.
    const text = `
      auipc s0, 0
      lui t0, 0x550
      addiw t0, t0, 0x513
      addi t3, zero, 40
      loop: addi t3, t3, -1
      bne t3, zero, loop
      sw t0, 28(s0)
      addi a0, a0, 1
      end: jal zero, end`;
    const parent = await started(eager, text);
    parent.hart.run(30);
    const child = await childOf(parent);
    for (const { hart } of [parent, child]) hart.run(200);
    assert.equal(child.hart.readX(10), 5n);
    assert.deepEqual(child.hart.saveState(), parent.hart.saveState());
  });

  test('finds room where the table is small', async () => {
    const parent = await started(eager);
    parent.hart.run(500);
    const child = await makeHart({ jit: { ...eager, capacity: 1 } });
    child.memory.writable(BASE, parent.memory.size).set(parent.memory.readable(BASE, 1 << 20));
    child.hart.restoreState(parent.hart.saveState());
    child.hart.adoptCode(parent.hart.shareCode()!);
    for (const { hart } of [parent, child]) hart.run(777);
    assert.deepEqual(child.hart.saveState(), parent.hart.saveState());
  });
});
