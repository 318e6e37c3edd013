import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FRAME_OF, FRAMES, RAM_OFFSET } from '../layout.ts';
import { BASE, decodes, makeHart, place, type TestHart } from '../testing.ts';
import { handlers } from './handlers.ts';
import { pairOf, pairs } from './pairs.ts';
import { NUMBER_BITS, OPERAND_BITS, Special } from './special.ts';

/** The same program interpreted and decoded, for slices of some lengths: all state is equal. */
async function assertSame(
  source: string,
  instructions: number,
  jit: Parameters<typeof makeHart>[0] = { jit: decodes },
): Promise<TestHart> {
  const plain = await makeHart();
  const decoded = await makeHart(jit);
  for (const each of [plain, decoded]) {
    place(each, source);
    each.hart.reset({ pc: BigInt(BASE) });
  }
  for (let done = 0, slice = 1; done < instructions; done += slice, slice = (slice * 7 + 3) % 41) {
    if (slice === 0) slice = 1;
    for (const { hart } of [plain, decoded]) hart.run(slice);
    assert.deepEqual(decoded.hart.saveState(), plain.hart.saveState(), `after ${done + slice}`);
  }
  return decoded;
}

const frameOf = ({ memory }: TestHart, page: number): number =>
  new Uint16Array(memory.wasm.buffer, FRAME_OF)[page]!;

/** The number of the handler of the instruction at an offset of the first page. */
function handlerAt(hart: TestHart, offset: number): number {
  assert.equal(frameOf(hart, 0), 1);
  return new Int32Array(hart.memory.wasm.buffer, FRAMES)[offset]! & NUMBER_BITS;
}

describe('decoded pages', () => {
  test('numbers of handlers fit into a slot', () => {
    const last = Object.keys(Special).length + handlers.length + pairs.length - 1;
    assert.equal(last & NUMBER_BITS, last);
    assert.equal(OPERAND_BITS & NUMBER_BITS, 0);
  });

  test('two instructions have a handler where they are one of the pairs, and only there', () => {
    const first = Object.keys(Special).length;
    let found = 0;
    for (let one = first; one < first + handlers.length; one++) {
      for (let other = 0; other <= NUMBER_BITS; other++) {
        for (const step of [8, 16]) if (pairOf(one, step, other) !== undefined) found++;
      }
    }
    assert.equal(found, pairs.length);
  });

  test('a loop with calls, loads and stores is as interpreted, and executed from slots', async () => {
    const hart = await assertSame(
      `auipc sp, 0x4
      addi a0, zero, 100
      loop: sd a0, 0(sp)
      sd a1, 8(sp)
      jal ra, callee
      ld a2, 0(sp)
      ld a3, 8(sp)
      addi a0, a0, -1
      bne a0, zero, loop
      end: jal zero, end
      callee: addi a1, a1, 2
      addi zero, a1, 2
      lw zero, 0(sp)
      jalr zero, 0(ra)`,
      1500,
    );
    assert.equal(hart.hart.readX(11), 200n);
    // The two stores by one handler.
    assert.ok(handlerAt(hart, 8) >= Object.keys(Special).length + handlers.length);
  });

  test('code that goes over into the next page is as interpreted', async () => {
    await assertSame(
      `jal zero, start
      ${'addi zero, zero, 0\n'.repeat(1020)}
      start: addi a0, a0, 1
      addi a1, a1, 2
      addi a2, a2, 3
      addi a3, a3, 4
      bne a0, zero, start`,
      3000,
    );
  });

  test('what was executed as the second of two still is, when the next one is compiled', async () => {
    const hart = await assertSame(
      `main: jal ra, callee
      jal zero, main
      callee: addi a2, a2, 1
      addi a3, a3, 2
      hot: addi a0, a0, 1
      andi a1, a0, 7
      bne a1, zero, hot
      jalr zero, 0(ra)`,
      900,
      { jit: { threshold: 40, batch: 1, warmAfter: 1 } },
    );
    assert.equal(handlerAt(hart, 16), Special.compiled);
    assert.notEqual(handlerAt(hart, 8), Special.compiled);
  });

  test('a page that is written is decoded anew', async () => {
    const test = await makeHart({ jit: decodes });
    const program = (by: number) => `loop: addi a0, a0, ${by}\njal zero, loop`;
    place(test, program(1));
    test.hart.reset({ pc: BigInt(BASE) });
    for (let slice = 0; slice < 4; slice++) test.hart.run(10);
    assert.equal(test.hart.readX(10), 20n);
    assert.equal(frameOf(test, 0), 1);
    place(test, program(100));
    assert.equal(frameOf(test, 0), 0);
    for (let slice = 0; slice < 4; slice++) test.hart.run(10);
    assert.equal(test.hart.readX(10), 2020n);
    assert.equal(frameOf(test, 0), 1);
  });

  test('a page that is often written while it is warm is compiled when it is hot', async () => {
    const test = await makeHart({ jit: { threshold: 2000, batch: 1, warmAfter: 16 } });
    const { hart, memory } = test;
    place(test, 'loop: addi a0, a0, 1\njal zero, loop');
    hart.reset({ pc: BigInt(BASE) });
    for (let writes = 0; writes < 17; writes++) {
      for (let slice = 0; slice < 4; slice++) hart.run(40);
      // It is decoded up to the sixteenth write, and then left to the interpreter.
      assert.equal(frameOf(test, 0), writes < 16 ? 1 : 0, `after ${writes} writes`);
      memory.writeU32(BASE + 2048, writes);
    }
    assert.equal(hart.shareCode()!.modules.length, 0);
    for (let slice = 0; slice < 10; slice++) hart.run(1000);
    assert.equal(hart.shareCode()!.modules.length, 1);
    assert.equal(hart.readX(10), BigInt(17 * 80 + 5000));
  });

  test('the oldest page makes room', async () => {
    const page = (number: number): string =>
      `page${number}: addi a0, a0, 1
      jal zero, page${(number + 1) % 3}
      ${'addi zero, zero, 0\n'.repeat(1022)}`;
    const source = [0, 1, 2].map(page).join('\n');
    const hart = await assertSame(source, 600, { jit: { ...decodes, frames: 2 } });
    const used = [0, 1, 2].map((each) => frameOf(hart, each));
    assert.deepEqual(used.toSorted(), [0, 1, 2]);
  });

  test('memory that is left to another machine has no page decoded', async () => {
    const test = await makeHart({ jit: decodes });
    place(test, 'loop: jal zero, loop');
    test.hart.reset({ pc: BigInt(BASE) });
    for (let slice = 0; slice < 4; slice++) test.hart.run(10);
    assert.equal(frameOf(test, 0), 1);
    test.hart.release();
    assert.equal(frameOf(test, 0), 0);
    assert.equal(RAM_OFFSET % 0x1_0000, 0);
  });
});
