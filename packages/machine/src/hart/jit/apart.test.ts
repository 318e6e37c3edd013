import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { BASE, makeHart, place, squares, type TestHart } from '../testing.ts';
import { CompileService } from './compile-service.ts';

const apart = { threshold: 10, batch: 1, apart: true };

async function started(jit?: typeof apart, text = squares): Promise<TestHart> {
  const made = await makeHart(jit && { jit });
  place(made, text);
  made.hart.reset({ pc: BigInt(BASE) });
  return made;
}

const functionsOf = ({ hart }: TestHart): number => hart.shareCode()!.functions.length;

/** Until a hart has compiled code. Orders are answered in turn, so those that were there before are, too. */
async function compiled(test: TestHart): Promise<void> {
  while (functionsOf(test) === 0) {
    test.hart.run(100);
    await setImmediate();
  }
}

describe('code compiled in a thread of its own', () => {
  test('is entered when it is there, and leaves state as it is without', async () => {
    const [plain, other] = [await started(), await started(apart)];
    other.hart.run(1000);
    assert.equal(functionsOf(other), 0);
    await compiled(other);
    plain.hart.run(other.hart.instret);
    assert.deepEqual(other.hart.saveState(), plain.hart.saveState());
    for (let slice = 1; slice < 200; slice++) {
      for (const { hart } of [plain, other]) hart.run(slice);
      assert.deepEqual(other.hart.saveState(), plain.hart.saveState());
    }
  });

  test('is dropped where its page was written meanwhile', async () => {
    const changed = squares.replace('s1, s1, 1', 's1, s1, 7');
    const [plain, other] = [await started(), await started(apart)];
    for (const each of [plain, other]) {
      each.hart.run(1000);
      place(each, changed);
    }
    await compiled(await started(apart));
    assert.equal(functionsOf(other), 0);
    await compiled(other);
    plain.hart.run(other.hart.instret - 1000);
    assert.deepEqual(other.hart.saveState(), plain.hart.saveState());
  });

  test('is dropped where the guest itself stores over it meanwhile', async () => {
    // After 200 rounds the instruction at 32 becomes addi a0, a0, 5; the loop that was ordered has it.
    const text = `
      auipc s0, 0
      lui t0, 0x550
      addiw t0, t0, 0x513
      addi t3, zero, 200
      loop: addi t3, t3, -1
      bne t3, zero, skip
      sw t0, 32(s0)
      skip: addi s1, s1, 1
      addi a0, a0, 1
      beq zero, zero, loop`;
    const [plain, other] = [await started(undefined, text), await started(apart, text)];
    for (const { hart } of [plain, other]) hart.run(3000);
    await compiled(await started(apart));
    assert.equal(functionsOf(other), 0);
    assert.deepEqual(other.hart.saveState(), plain.hart.saveState());
  });

  test('stays away from memory that was left to others', async () => {
    const other = await started(apart);
    other.hart.run(1000);
    other.hart.release();
    await compiled(await started(apart));
    assert.equal(functionsOf(other), 0);
  });

  for (const failures of [1, 2]) {
    const where = failures === 1 ? 'there once more' : 'in place';
    test(`is made ${where} after that thread failed ${failures === 1 ? 'once' : 'twice'}`, async (t) => {
      const { compile } = CompileService.prototype;
      let calls = 0;
      t.mock.method(
        CompileService.prototype,
        'compile',
        function (this: CompileService, order: Order) {
          return calls++ < failures ? Promise.reject(new Error('no')) : compile.call(this, order);
        },
      );
      const other = await started(apart);
      await compiled(other);
      assert.equal(calls, 2);
    });
  }
});

type Order = Parameters<CompileService['compile']>[0];
