import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';
import { BASE, makeHart, openPmp, place, type TestHart } from './testing.ts';

const HANDLER = BASE + 0x800;
const DATA = BASE + 0x8000;
const R = 1;
const W = 2;
const X = 4;
const TOR = 8;
const NA4 = 16;
const NAPOT = 24;
const LOCKED = 0x80;
const MPP_S = 1n << 11n;

describe('physical memory protection', () => {
  let machine: TestHart;
  before(async () => {
    machine = await makeHart();
    place(machine, 'mret', HANDLER + 16);
  });
  beforeEach(() => machine.hart.reset({ pc: BigInt(BASE) }));

  const napot = (address: number, size: number): bigint =>
    (BigInt(address) >> 2n) | BigInt(size / 8 - 1);

  /** Sets entries 0, 1, ...; the last one opens everything to S and U. */
  function protect(...entries: readonly (readonly [address: bigint, config: number])[]): void {
    const { hart } = machine;
    const all = [...entries, [(1n << 54n) - 1n, NAPOT | R | W | X] as const];
    for (const [index, [address]] of all.entries()) hart.writeCsr(0x3b0 + index, address);
    hart.writeCsr(
      0x3a0,
      all.reduce((bits, [, config], index) => bits | (BigInt(config) << BigInt(8 * index)), 0n),
    );
  }

  /** Cause of the trap that an instruction takes in S or M, with its operand a1, or undefined. */
  function attempt(source: string, address: number, mode: 'S' | 'M' = 'S'): bigint | undefined {
    const { hart } = machine;
    place(machine, source);
    hart.writeCsr(0x305, BigInt(HANDLER));
    hart.writeCsr(0x342, 0x99n);
    hart.writeX(11, BigInt(address));
    if (mode === 'S') {
      hart.writeCsr(0x341, BigInt(BASE));
      hart.writeCsr(0x300, MPP_S);
      hart.pc = BigInt(HANDLER + 16);
      hart.run(1);
    }
    hart.run(1);
    const cause = hart.readCsr(0x342);
    return cause === 0x99n ? undefined : cause;
  }

  const LOAD = 'ld a0, 0(a1)';
  const STORE = 'sd a0, 0(a1)';

  test('without any region S may access nothing, M everything', () => {
    assert.equal(attempt(LOAD, DATA, 'M'), undefined);
    assert.equal(attempt(LOAD, DATA), 1n);
  });

  test('the rights of a region are those of its accesses, and end where it ends', () => {
    for (const rights of [0, R, R | W, X, R | X]) {
      machine.hart.reset({ pc: BigInt(BASE) });
      protect([napot(DATA, 0x1000), NAPOT | rights]);
      assert.equal(attempt(LOAD, DATA), rights & R ? undefined : 5n, `load ${rights}`);
      machine.hart.reset({ pc: BigInt(BASE) });
      protect([napot(DATA, 0x1000), NAPOT | rights]);
      assert.equal(attempt(STORE, DATA + 0xff8), rights & W ? undefined : 7n, `store ${rights}`);
      assert.equal(machine.hart.readCsr(0x343), rights & W ? 0n : BigInt(DATA + 0xff8));
      machine.hart.reset({ pc: BigInt(BASE) });
      protect([napot(DATA, 0x1000), NAPOT | rights]);
      assert.equal(attempt(LOAD, DATA + 0x1000), undefined);
    }
  });

  test('regions smaller than a page guard their own bytes alone', () => {
    for (const [offset, allowed] of [
      [0, true],
      [4, true],
      [8, false],
      [12, true],
    ] as const) {
      machine.hart.reset({ pc: BigInt(BASE) });
      protect([BigInt(DATA + 8) >> 2n, NA4]);
      assert.equal(attempt('lw a0, 0(a1)', DATA + offset), allowed ? undefined : 5n, `${offset}`);
    }
    machine.hart.reset({ pc: BigInt(BASE) });
    protect([BigInt(DATA + 8) >> 2n, NA4 | R]);
    assert.equal(attempt(LOAD, DATA + 8), 5n, 'the access reaches beyond the entry that matches');
  });

  test('TOR begins at the address of the entry before; the first entry that matches decides', () => {
    protect([BigInt(DATA) >> 2n, 0], [BigInt(DATA + 0x20) >> 2n, TOR | R]);
    assert.equal(attempt(STORE, DATA + 0x18), 7n);
    machine.hart.reset({ pc: BigInt(BASE) });
    protect([BigInt(DATA) >> 2n, 0], [BigInt(DATA + 0x20) >> 2n, TOR | R]);
    assert.equal(attempt(STORE, DATA + 0x20), undefined);
    machine.hart.reset({ pc: BigInt(BASE) });
    protect([napot(DATA, 8), NAPOT | R | W], [napot(DATA, 0x1000), NAPOT]);
    assert.equal(attempt(STORE, DATA), undefined);
    machine.hart.reset({ pc: BigInt(BASE) });
    protect([napot(DATA, 8), NAPOT | R | W], [napot(DATA, 0x1000), NAPOT]);
    assert.equal(attempt(STORE, DATA + 8), 7n);
  });

  test('M is bound by locked entries alone, and cannot change them', () => {
    const { hart } = machine;
    protect([napot(DATA, 0x1000), NAPOT | R]);
    assert.equal(attempt(STORE, DATA, 'M'), undefined);
    protect([napot(DATA, 0x1000), NAPOT | R | LOCKED]);
    hart.pc = BigInt(BASE);
    assert.equal(attempt(STORE, DATA, 'M'), 7n);
    const address = hart.readCsr(0x3b0);
    hart.writeCsr(0x3b0, 0n);
    hart.writeCsr(0x3a0, 0n);
    assert.equal(hart.readCsr(0x3b0), address);
    assert.equal(hart.readCsr(0x3a0) & 0xffn, BigInt(NAPOT | R | LOCKED));
  });

  test('a locked TOR entry locks its bottom, too', () => {
    const { hart } = machine;
    hart.writeCsr(0x3b0, 0x1000n);
    hart.writeCsr(0x3b1, 0x2000n);
    hart.writeCsr(0x3a0, BigInt((TOR | LOCKED) << 8));
    hart.writeCsr(0x3b0, 0n);
    assert.equal(hart.readCsr(0x3b0), 0x1000n);
  });

  test('page tables are read as by S', () => {
    const { hart, memory } = machine;
    const root = BASE + 0x10000;
    openPmp(machine);
    memory.writable(root, 4096).fill(0);
    // Identity over the gigabyte of RAM.
    memory.writeU64(root + 8 * 2, (0x80000n << 10n) | 0xcfn);
    hart.writeCsr(0x180, (8n << 60n) | BigInt(root >>> 12));
    assert.equal(attempt(LOAD, DATA), undefined);
    hart.reset({ pc: BigInt(BASE) });
    protect([napot(root, 0x1000), NAPOT]);
    hart.writeCsr(0x180, (8n << 60n) | BigInt(root >>> 12));
    assert.equal(attempt(LOAD, DATA), 1n, 'the fetch already');
  });
});
