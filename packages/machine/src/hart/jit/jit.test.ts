import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jumpSlot, looseAt, RAM_OFFSET } from '../layout.ts';
import { BASE, makeHart, place, type TestHart } from '../testing.ts';

const jit = { threshold: 1, batch: 1 };

/** The same program interpreted and compiled, for slices of some lengths: all state is equal. */
async function assertSame(
  source: string,
  instructions: number,
  prepare: (test: TestHart) => void = () => {},
): Promise<TestHart> {
  const plain = await makeHart();
  const compiled = await makeHart({ jit });
  const tight = await makeHart({ jit: { ...jit, capacity: 2 } });
  const decoded = await makeHart({ jit: { threshold: 20, batch: 1, warmAfter: 1, frames: 1 } });
  const harts = [plain, compiled, tight, decoded];
  for (const each of harts) {
    place(each, source);
    each.hart.reset({ pc: BigInt(BASE) });
    prepare(each);
  }
  for (let done = 0, slice = 1; done < instructions; done += slice, slice = (slice * 7 + 3) % 41) {
    if (slice === 0) slice = 1;
    for (const { hart } of harts) hart.run(slice);
    assert.deepEqual(
      tight.hart.saveState(),
      plain.hart.saveState(),
      `tight, after ${done + slice}`,
    );
    assert.deepEqual(
      decoded.hart.saveState(),
      plain.hart.saveState(),
      `decoded, after ${done + slice}`,
    );
    assert.deepEqual(compiled.hart.saveState(), plain.hart.saveState(), `after ${done + slice}`);
  }
  const all = ({ memory }: TestHart) => memory.readable(BASE, memory.size);
  assert.deepEqual(all(compiled), all(plain));
  return compiled;
}

describe('compiled code', () => {
  test('a loop with loads, stores and a call is as interpreted', async () => {
    const { hart } = await assertSame(
      `auipc sp, 0x10
      addi a0, zero, 200
      loop: sd a0, 0(sp)
      ld a1, 0(sp)
      add a2, a2, a1
      jal ra, callee
      addi a0, a0, -1
      bne a0, zero, loop
      end: jal zero, end
      callee: addi a3, a3, 2
      jalr zero, 0(ra)`,
      2000,
    );
    assert.equal(hart.readX(12), 20100n);
    assert.equal(hart.readX(13), 400n);
  });

  test('a loop entered in its middle, with a loop in it, is as interpreted', async () => {
    await assertSame(
      `addi a0, zero, 50
      jal zero, middle
      outer: addi a1, zero, 5
      inner: add a2, a2, a1
      addi a1, a1, -1
      bne a1, zero, inner
      middle: addi a0, a0, -1
      andi a3, a0, 3
      beq a3, zero, outer
      bne a0, zero, middle
      end: jal zero, end`,
      600,
    );
  });

  test('an instruction stored over is executed as it is now, in the same block too', async () => {
    // The instruction at 28 gets another immediate each round, three instructions ahead.
    const { hart } = await assertSame(
      `auipc s0, 0
      lui t0, 0x250
      addiw t0, t0, 0x513
      addi t3, zero, 100
      loop: sw t0, 28(s0)
      addi a1, a1, 1
      addi a2, a2, 1
      addi a0, a0, 1
      lui t1, 0x300
      xor t0, t0, t1
      addi t3, t3, -1
      bne t3, zero, loop
      end: jal zero, end`,
      1000,
    );
    assert.equal(hart.readX(11), 100n);
    assert.ok(hart.readX(10) > 100n);
  });

  test('what the host writes is executed', async () => {
    const test = await makeHart({ jit });
    place(test, 'loop: addi a0, a0, 1\njal zero, loop');
    test.hart.run(200);
    assert.equal(test.hart.readX(10), 100n);
    place(test, 'loop: addi a0, a0, 3\njal zero, loop');
    test.hart.run(200);
    assert.equal(test.hart.readX(10), 400n);
  });

  test('a load that faults in a loop leaves everything as it was before it', async () => {
    const { hart } = await assertSame(
      `auipc t0, 0
      addi t0, t0, 48
      csrrw zero, 0x305, t0
      auipc sp, 0x20
      loop: addi a0, a0, 1
      ld a1, 0(sp)
      addi a2, a2, 1
      slli sp, sp, 1
      beq zero, zero, loop
      addi zero, zero, 0
      addi zero, zero, 0
      addi zero, zero, 0
      handler: csrrs s1, 0x341, zero
      addi s1, s1, 4
      csrrw zero, 0x341, s1
      addi a3, a3, 1
      mret`,
      800,
    );
    assert.ok(hart.readX(13) > 0n);
  });

  test('accesses in a row that reach into the next page are as interpreted', async () => {
    for (const offset of [0, 8, 4072, 4076, 4080, 4084, 4088, 4092, 4093]) {
      const { hart } = await assertSame(
        `auipc sp, 0x10
        addi sp, sp, 2047
        addi sp, sp, ${offset - 2047}
        addi a0, zero, 60
        loop: sd a0, 0(sp)
        sw a1, 8(sp)
        sb a0, 13(sp)
        ld a2, 8(sp)
        add a1, a1, a2
        ld a3, 0(sp)
        lw a4, 8(sp)
        addi sp, sp, 0
        ld a5, 0(sp)
        add a1, a1, a5
        addi a0, a0, -1
        bne a0, zero, loop
        end: jal zero, end`,
        1000,
      );
      assert.equal(hart.readX(13), 1n);
    }
  });

  test('accesses in a row that are not in one page get code in which each asks for itself', async () => {
    for (const [offset, isLoose] of [
      [64, false],
      [4080, true],
    ] as const) {
      const plain = await makeHart();
      const compiled = await makeHart({ jit: { threshold: 8, batch: 1 } });
      for (const each of [plain, compiled]) {
        place(
          each,
          `auipc sp, 0x10
          addi sp, sp, 2047
          addi sp, sp, ${offset - 2047}
          addi a0, zero, 300
          loop: addi a1, a1, 1
          sd a0, 0(sp)
          sd a1, 16(sp)
          ld a2, 16(sp)
          add a3, a3, a2
          addi a0, a0, -1
          bne a0, zero, loop
          end: jal zero, end`,
        );
        each.hart.reset({ pc: BigInt(BASE) });
        for (let slice = 0; slice < 15; slice++) each.hart.run(200);
      }
      assert.equal(compiled.hart.readX(13), 45_150n);
      assert.deepEqual(compiled.hart.saveState(), plain.hart.saveState());
      const words = new Int32Array(compiled.memory.wasm.buffer);
      const store = looseAt(RAM_OFFSET + 20);
      assert.equal(words[jumpSlot(store) >> 2] === store, isLoose);
    }
  });

  test('an access in a row to code that an earlier one changed finds it changed', async () => {
    const { hart } = await assertSame(
      `auipc s0, 0
      addi t3, zero, 50
      loop: lw t0, 36(s0)
      lui t1, 0x100
      add t0, t0, t1
      sw t0, 36(s0)
      sw t0, 40(s0)
      lw t2, 40(s0)
      addi t3, t3, -1
      addi a0, a0, 0
      addi a1, a1, 0
      bne t3, zero, loop
      end: jal zero, end`,
      900,
    );
    assert.ok(hart.readX(10) > 0n);
  });

  test('a place that waits for others is compiled when it becomes hot once more', async () => {
    const each = await makeHart({ jit: { threshold: 10, batch: 8 } });
    place(each, 'loop: addi a0, a0, 1\njal zero, loop');
    each.hart.reset({ pc: BigInt(BASE) });
    const words = new Int32Array(each.memory.wasm.buffer);
    const isCompiled = (): boolean => words[jumpSlot(RAM_OFFSET) >> 2] === RAM_OFFSET;
    for (let slice = 0; slice < 5; slice++) each.hart.run(5);
    assert.equal(isCompiled(), false);
    each.hart.run(25);
    each.hart.run(1);
    assert.equal(isCompiled(), true);
  });

  test('what the host refuses to compile is interpreted, and not tried again', async () => {
    const { hart } = await makeHart({ jit });
    const test = { hart, memory: hart.memory };
    place(test, 'loop: addi a0, a0, 1\njal zero, loop');
    hart.reset({ pc: BigInt(BASE) });
    const { Module } = WebAssembly;
    let tries = 0;
    WebAssembly.Module = class {
      constructor() {
        tries++;
        throw new WebAssembly.CompileError('refused');
      }
    } as unknown as typeof Module;
    try {
      hart.run(2000);
    } finally {
      WebAssembly.Module = Module;
    }
    assert.equal(hart.readX(10), 1000n);
    assert.equal(tries, 1);
  });

  test('a page mapped twice is compiled once, and knows where it runs', async () => {
    const table = BASE + 0x4000;
    const paged = await makeHart({ jit });
    place(paged, 'auipc a0, 0\njalr zero, 0(a1)');
    paged.memory.writeU64(table, BigInt(((table + 0x1000) / 4096) * 1024 + 1));
    for (const index of [1, 2]) {
      const leaf = BigInt((BASE / 4096) * 1024 + 0xcf);
      paged.memory.writeU64(
        table + 0x1000 + 8 * index,
        BigInt(((table + 0x2000) / 4096) * 1024 + 1),
      );
      paged.memory.writeU64(table + 0x2000 + 8 * index, leaf);
    }
    paged.hart.reset({ pc: 0x20_1000n, mode: 'S' });
    paged.hart.writeCsr(0x180, (8n << 60n) | BigInt(table / 4096));
    paged.hart.writeX(11, 0x40_2000n);
    paged.hart.run(2);
    assert.equal(paged.hart.readX(10), 0x20_1000n);
    paged.hart.run(1);
    assert.equal(paged.hart.readX(10), 0x40_2000n);
  });

  test('an address space that maps another page executes that one', async () => {
    const test = await makeHart({ jit });
    const table = BASE + 0x4000;
    place(test, 'loop: addi a0, a0, 1\njal zero, loop', BASE + 0x1000);
    place(test, 'loop: addi a0, a0, 100\njal zero, loop', BASE + 0x2000);
    const map = (page: number): void => {
      test.memory.writeU64(table + 0x2000, BigInt(((BASE + page) / 4096) * 1024 + 0xcf));
    };
    test.memory.writeU64(table, BigInt(((table + 0x1000) / 4096) * 1024 + 1));
    test.memory.writeU64(table + 0x1000, BigInt(((table + 0x2000) / 4096) * 1024 + 1));
    map(0x1000);
    test.hart.reset({ pc: 0n, mode: 'S' });
    test.hart.writeCsr(0x180, (8n << 60n) | BigInt(table / 4096));
    test.hart.run(20);
    assert.equal(test.hart.readX(10), 10n);
    map(0x2000);
    test.hart.flushTlb();
    test.hart.run(20);
    assert.equal(test.hart.readX(10), 1010n);
  });

  test('nothing shows of when places are compiled, how many together, and when they are dropped', async () => {
    const source = `addi a0, zero, 2000
      loop: add a1, a1, a0
      addi a0, a0, -1
      bne a0, zero, loop
      end: jal zero, end`;
    const states: Uint8Array[] = [];
    for (const options of [
      {},
      { jit: { threshold: 3, batch: 8 } },
      { jit: { threshold: 50, batch: 2 } },
      { jit: { threshold: 1, batch: 1, capacity: 2 } },
    ]) {
      const each = await makeHart(options);
      place(each, source);
      each.hart.reset({ pc: BigInt(BASE) });
      for (let slice = 0; slice < 400; slice++) each.hart.run(17);
      states.push(each.hart.saveState());
    }
    for (const state of states.slice(1)) assert.deepEqual(state, states[0]);
  });
});
