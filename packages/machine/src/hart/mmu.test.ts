import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { BASE, makeHart, openPmp, place, type TestHart } from './testing.ts';

const MSTATUS = 0x300;
const MCAUSE = 0x342;
const MEPC = 0x341;
const MTVAL = 0x343;
const SATP = 0x180;
const SUM = 1n << 18n;
const MXR = 1n << 19n;
const MPRV = 1n << 17n;
const HANDLER = BASE + 0x800;

const V = 1;
const R = 2;
const W = 4;
const X = 8;
const U = 16;
const G = 32;
const A = 64;
const D = 128;

/** Physical places: page tables, and pages that virtual addresses map to. */
const ROOT = BASE + 0x10000;
const PAGE = BASE + 0x40000;

/** Virtual address of the tests, whose tables are made by `map`. */
const VIRTUAL = 0x20_2000_3000n;

/** Page tables in the guest's memory, built as needed. */
class Tables {
  readonly #machine: TestHart;
  readonly #levels: number;
  #free = ROOT + 0x1000;

  constructor(machine: TestHart, levels: number) {
    this.#machine = machine;
    this.#levels = levels;
    machine.memory.writable(ROOT, 0x20000).fill(0);
    machine.hart.writeCsr(SATP, (BigInt(levels + 5) << 60n) | BigInt(ROOT >>> 12));
  }

  /** Maps the page at `virtual` with a leaf at `level` (0 is 4 KiB); gives the leaf's place. */
  map(virtual: bigint, physical: number, flags: number, level = 0): number {
    const { memory } = this.#machine;
    let table = ROOT;
    for (let at = this.#levels - 1; ; at--) {
      const index = Number((virtual >> BigInt(12 + 9 * at)) & 511n);
      const place = table + index * 8;
      if (at === level) {
        memory.writeU64(place, (BigInt(physical >>> 12) << 10n) | BigInt(flags));
        return place;
      }
      if ((memory.readU64(place) & 1n) === 0n) {
        memory.writeU64(place, (BigInt(this.#free >>> 12) << 10n) | 1n);
        this.#free += 0x1000;
      }
      table = Number((memory.readU64(place) >> 10n) << 12n);
    }
  }
}

describe('address translation', () => {
  let machine: TestHart;
  before(async () => {
    machine = await makeHart({ size: 4 << 20 });
    place(machine, 'wfi', HANDLER);
  });

  /**
   * Executes one instruction in `mode` with translation on, from a page of code that any mode but
   * M may fetch; a1 holds `address`. Gives the cause of the trap that it took, if any.
   */
  function attempt(
    source: string,
    address: bigint,
    mode: 'U' | 'S',
    { status = 0n }: { status?: bigint } = {},
  ): bigint | undefined {
    const { hart } = machine;
    place(machine, source);
    hart.writeCsr(0x305, BigInt(HANDLER));
    hart.writeCsr(0x302, 0n);
    hart.writeCsr(MCAUSE, 0x99n);
    hart.flushTlb();
    hart.writeX(11, address);
    enter(mode, CODE, status);
    hart.run(1);
    const cause = hart.readCsr(MCAUSE);
    return cause === 0x99n ? undefined : cause;
  }

  const CODE = 0x10_0000_0000n;

  /** As if by mret to `address`. */
  function enter(mode: 'U' | 'S', address: bigint, status: bigint): void {
    const { hart } = machine;
    hart.reset({ pc: BigInt(HANDLER + 16) });
    openPmp(machine);
    hart.writeCsr(0x305, BigInt(HANDLER));
    hart.writeCsr(MCAUSE, 0x99n);
    hart.writeCsr(MEPC, address);
    hart.writeCsr(MSTATUS, status | (mode === 'S' ? 1n << 11n : 0n));
    hart.writeX(11, hartAddress);
    hart.writeCsr(SATP, satp);
    place(machine, 'mret', HANDLER + 16);
    hart.run(1);
  }
  let hartAddress = 0n;
  let satp = 0n;

  interface Mapping {
    readonly flags: number;
    readonly levels?: number;
    readonly virtual?: bigint;
    readonly physical?: number;
    readonly level?: number;
  }

  /** Maps one page for data and one for code, and remembers where the leaf is. */
  function prepare(mode: 'U' | 'S', mapping: Mapping): number {
    const levels = mapping.levels ?? 3;
    const tables = new Tables(machine, levels);
    satp = (BigInt(levels + 5) << 60n) | BigInt(ROOT >>> 12);
    tables.map(CODE, BASE, V | X | A | (mode === 'U' ? U : 0));
    const virtual = mapping.virtual ?? VIRTUAL;
    return tables.map(virtual, mapping.physical ?? PAGE, mapping.flags, mapping.level);
  }

  function access(
    source: string,
    mode: 'U' | 'S',
    mapping: Mapping,
    status = 0n,
  ): bigint | undefined {
    prepare(mode, mapping);
    hartAddress = (mapping.virtual ?? VIRTUAL) + 8n;
    return attempt(source, hartAddress, mode, { status });
  }

  const LOAD = 'ld a0, 0(a1)';
  const STORE = 'sd a0, 0(a1)';
  const JUMP = 'jalr zero, 0(a1)';

  test('rights of the leaf decide, by kind of access', () => {
    for (const rights of [R, R | W, X, R | X, R | W | X]) {
      const flags = V | A | D | rights;
      assert.equal(access(LOAD, 'S', { flags }), rights & R ? undefined : 13n, `load ${rights}`);
      assert.equal(access(STORE, 'S', { flags }), rights & W ? undefined : 15n, `store ${rights}`);
    }
  });

  test('fetching needs X, and the fault names the target', () => {
    place(machine, 'addi a0, zero, 7', PAGE + 8);
    for (const rights of [R, R | W, X, R | W | X]) {
      prepare('S', { flags: V | A | rights });
      hartAddress = VIRTUAL + 8n;
      attempt(JUMP, hartAddress, 'S');
      machine.hart.run(1);
      const [cause, value] = [machine.hart.readCsr(MCAUSE), machine.hart.readCsr(MTVAL)];
      if (rights & X) assert.equal(machine.hart.readX(10), 7n);
      else assert.deepEqual([cause, value], [12n, VIRTUAL + 8n]);
    }
  });

  test('pages of U are for U, and for loads and stores of S where SUM is set', () => {
    const flags = V | R | W | A | D;
    assert.equal(access(LOAD, 'U', { flags: flags | U }), undefined);
    assert.equal(access(LOAD, 'U', { flags }), 13n);
    assert.equal(access(LOAD, 'S', { flags: flags | U }), 13n);
    assert.equal(access(LOAD, 'S', { flags: flags | U }, SUM), undefined);
    assert.equal(access(STORE, 'S', { flags: flags | U }, SUM), undefined);
    assert.equal(access(STORE, 'S', { flags }, SUM), undefined);
    prepare('S', { flags: V | X | U | A });
    hartAddress = VIRTUAL;
    attempt(JUMP, VIRTUAL, 'S', { status: SUM });
    machine.hart.run(1);
    assert.equal(machine.hart.readCsr(MCAUSE), 12n, 'SUM is not for fetches');
  });

  test('MXR lets loads read what can be executed', () => {
    assert.equal(access(LOAD, 'S', { flags: V | X | A }), 13n);
    assert.equal(access(LOAD, 'S', { flags: V | X | A }, MXR), undefined);
    assert.equal(access(STORE, 'S', { flags: V | X | A | D }, MXR), 15n);
  });

  test('invalid and reserved entries fault', () => {
    for (const flags of [0, R | A, V | W | A, V | W | X | A, V, V | A, V | G | D]) {
      assert.equal(access(LOAD, 'S', { flags }), 13n, `flags ${flags}`);
    }
    const leaf = prepare('S', { flags: V | R | A });
    machine.memory.writeU64(leaf, machine.memory.readU64(leaf) | (1n << 63n));
    hartAddress = VIRTUAL;
    assert.equal(attempt(LOAD, VIRTUAL, 'S'), 13n, 'bit 63');
  });

  test('A is set by any access, D by stores alone', () => {
    const cases = [
      [LOAD, A],
      [STORE, A | D],
      ['lr.d a0, (a1)', A],
      ['amoadd.d a0, a0, (a1)', A | D],
    ] as const;
    for (const [source, expected] of cases) {
      const leaf = prepare('S', { flags: V | R | W });
      hartAddress = VIRTUAL;
      assert.equal(attempt(source, VIRTUAL, 'S'), undefined);
      assert.equal(machine.memory.readU64(leaf) & 0xc0n, BigInt(expected), source);
    }
  });

  test('a store after a load of the same page still sets D', () => {
    const leaf = prepare('S', { flags: V | R | W });
    hartAddress = VIRTUAL;
    place(machine, `${LOAD}\n${STORE}`);
    enter('S', CODE, 0n);
    machine.hart.run(2);
    assert.equal(machine.memory.readU64(leaf) & 0xc0n, 0xc0n);
  });

  test('superpages of both sizes map all their pages; misaligned ones fault', () => {
    const { memory } = machine;
    memory.writeU64(BASE + 0x23_4560, 0x1122n);
    const flags = V | R | A;
    const mega = { flags, level: 1, physical: BASE + 0x20_0000, virtual: 0x20_2020_0000n };
    prepare('S', mega);
    hartAddress = 0x20_2023_4560n;
    assert.equal(attempt(LOAD, hartAddress, 'S'), undefined);
    assert.equal(machine.hart.readX(10), 0x1122n);
    const giga = { flags, level: 2, physical: BASE, virtual: 0x20_0000_0000n };
    prepare('S', giga);
    hartAddress = 0x20_0023_4560n;
    assert.equal(attempt(LOAD, hartAddress, 'S'), undefined);
    assert.equal(machine.hart.readX(10), 0x1122n);
    assert.equal(access(LOAD, 'S', { ...mega, physical: BASE + 0x1000 }), 13n);
  });

  test('Sv48 translates with four levels', () => {
    const high = 0x7f80_1234_5000n;
    machine.memory.writeU64(PAGE + 8, 0x77n);
    assert.equal(access(LOAD, 'S', { flags: V | R | A, levels: 4, virtual: high }), undefined);
    assert.equal(machine.hart.readX(10), 0x77n);
  });

  test('addresses that are not sign-extended fault', () => {
    prepare('S', { flags: V | R | A });
    for (const address of [0x40_0000_0000n, 1n << 63n, 0x7fff_ffff_ffff_f000n]) {
      hartAddress = address;
      assert.equal(attempt(LOAD, address, 'S'), 13n);
      assert.equal(machine.hart.readCsr(MTVAL), address);
    }
  });

  test('a page table outside of RAM is an access fault', () => {
    prepare('S', { flags: V | R | A });
    machine.memory.writeU64(ROOT + 8 * Number(VIRTUAL >> 30n), (0x1000n << 10n) | 1n);
    hartAddress = VIRTUAL;
    assert.equal(attempt(LOAD, VIRTUAL, 'S'), 5n);
  });

  test('an access over two pages changes nothing when the second one faults', () => {
    const { memory } = machine;
    const address = VIRTUAL + 0xffcn;
    memory.writable(PAGE + 0xff0, 16).fill(0x33);
    prepare('S', { flags: V | R | W | A | D });
    hartAddress = address;
    assert.equal(attempt(STORE, address, 'S'), 15n);
    assert.equal(machine.hart.readCsr(MTVAL), VIRTUAL + 0x1000n);
    assert.deepEqual([...memory.readable(PAGE + 0xff0, 16)], new Array(16).fill(0x33));
    assert.equal(attempt(LOAD, address, 'S'), 13n);
  });

  test('an instruction over two pages faults for its second half', () => {
    const { hart, memory } = machine;
    prepare('S', { flags: V | X | A });
    memory.writeU16(PAGE + 0xffe, 0x0513);
    enter('S', VIRTUAL + 0xffen, 0n);
    hart.run(1);
    assert.deepEqual(
      [hart.readCsr(MCAUSE), hart.readCsr(MEPC), hart.readCsr(MTVAL)],
      [12n, VIRTUAL + 0xffen, VIRTUAL + 0x1000n],
    );
  });

  test('MPRV makes loads and stores of M those of MPP', () => {
    const { hart } = machine;
    prepare('S', { flags: V | R | A | U });
    place(machine, LOAD, HANDLER + 32);
    for (const [status, cause] of [
      [MPRV, undefined],
      [MPRV | (1n << 11n), 13n],
      [MPRV | (1n << 11n) | SUM, undefined],
      [0n, 5n],
    ] as const) {
      hart.reset({ pc: BigInt(HANDLER + 32) });
      openPmp(machine);
      hart.writeCsr(0x305, BigInt(HANDLER));
      hart.writeCsr(SATP, satp);
      hart.writeCsr(MCAUSE, 0x99n);
      hart.writeCsr(MSTATUS, status);
      hart.writeX(11, VIRTUAL);
      hart.run(1);
      const taken = hart.readCsr(MCAUSE);
      assert.equal(taken === 0x99n ? undefined : taken, cause, `status ${status.toString(16)}`);
    }
  });

  test('a changed entry is seen after a fence of its address, of all, and after satp', () => {
    const { hart, memory } = machine;
    const other = PAGE + 0x1000;
    memory.writeU64(PAGE, 1n);
    memory.writeU64(other, 2n);
    const fences = ['sfence.vma a1, zero', 'sfence.vma zero, zero', 'csrrw zero, 0x180, a2'];
    for (const fence of fences) {
      for (const level of [0, 1]) {
        const virtual = 0x20_2000_0000n;
        const physical = level === 0 ? PAGE : BASE;
        const leaf = prepare('S', { flags: V | R | A, level, virtual, physical });
        const target = virtual + BigInt(level === 0 ? 0 : PAGE - BASE);
        hartAddress = target;
        place(machine, `ld a0, 0(a1)\n${fence}\nld a3, 0(a1)`);
        enter('S', CODE, 0n);
        hart.writeX(12, satp);
        hart.run(1);
        assert.equal(hart.readX(10), 1n);
        memory.writeU64(
          leaf,
          (BigInt((level === 0 ? other : BASE + 0x20_0000) >>> 12) << 10n) | BigInt(V | R | A),
        );
        memory.writeU64(BASE + 0x24_0000, 2n);
        hart.run(2);
        assert.equal(hart.readX(13), 2n, `${fence}, level ${level}`);
      }
    }
  });

  test('modes satp does not know leave it as it was', () => {
    const { hart } = machine;
    hart.reset({ pc: BigInt(BASE) });
    hart.writeCsr(SATP, (8n << 60n) | 5n);
    for (const mode of [1n, 7n, 10n, 11n, 15n]) {
      hart.writeCsr(SATP, mode << 60n);
      assert.equal(hart.readCsr(SATP), (8n << 60n) | 5n);
    }
    hart.writeCsr(SATP, 0n);
    assert.equal(hart.readCsr(SATP), 0n);
  });
});
