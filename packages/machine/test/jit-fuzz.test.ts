import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { BASE, makeHart, openPmp, place, type TestHart } from '../src/hart/testing.ts';
import { instructions } from '../src/isa/table.ts';

// By hand: SEEDS=1000 node -C anole-source --test packages/machine/test/jit-fuzz.test.ts
const seeds = Number(process.env['SEEDS'] ?? 5);
const firstSeed = Number(process.env['FIRST_SEED'] ?? 1);

const SIZE = 0x4_0000;
const PAGES = SIZE / 4096;
const ROOT = BASE + 0x1000;
const MIDDLE = BASE + 0x2000;
const LEAVES = BASE + 0x3000;
/** Where the handler of traps finds where to go on. */
const TARGETS = BASE + 0x800;
const SV39 = 8n << 60n;

type Random = (below: number) => number;

function random(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Any instruction of the table with any operands; now and then, no instruction at all. */
function randomWord(next: Random): number {
  const bits = (next(0x1_0000) << 16) | next(0x1_0000);
  const kind = next(16);
  if (kind === 0) return bits;
  if (kind === 1) return randomHalf(next) | (randomHalf(next) << 16);
  const { name, extension, mask, match } = instructions[next(instructions.length)]!;
  // Those of the system trap, as a rule, and leave little room for others.
  const isSystem = extension === 'Privileged' || extension === 'Zicsr';
  if (isSystem && next(8) > 0) return randomWord(next);
  // What jumps far meets a page that is not there.
  if (name === 'jal') return match | (bits & 0x8000_3fff & ~mask) | (bits & 0x0ff0_0000);
  return match | (kind < 12 ? bits & 0x01ff_ffff & ~mask : bits & ~mask);
}

/** A compressed instruction, or what would be one. */
const randomHalf = (next: Random): number => (next(0x4000) << 2) | next(3);

/** Fills RAM: a handler of traps, page tables at random, code at random that may change them all. */
function prepare(test: TestHart, seed: number): void {
  const { hart, memory } = test;
  const next = random(seed);
  openPmp(test);
  for (let at = 0x4000; at < SIZE; at += 4) memory.writeU32(BASE + at, randomWord(next));
  place(
    test,
    `csrrw t0, 0x340, t0
    addi t0, t0, 8
    andi t0, t0, 0x7f
    csrrw t0, 0x340, t0
    csrrs t0, 0x340, zero
    auipc t1, 0
    add t0, t0, t1
    ld t0, ${TARGETS - BASE - 20}(t0)
    csrrw zero, 0x341, t0
    csrrs t2, 0x342, zero
    mret`,
  );
  const entry = (address: number, flags: number) => BigInt((address / 4096) * 1024 + flags);
  memory.writeU64(ROOT, entry(MIDDLE, 1));
  memory.writeU64(MIDDLE, entry(LEAVES, 1));
  for (let page = 0; page < PAGES; page++) {
    const flags = next(8) === 0 ? next(256) : 0x4f | (next(2) * 0x90) | (next(2) * 0x20);
    memory.writeU64(LEAVES + 8 * page, entry(BASE + next(PAGES) * 4096, flags));
  }
  const somewhere = () => BigInt(next(PAGES) * 4096 + next(1024) * 4);
  for (let slot = 0; slot < 16; slot++) memory.writeU64(TARGETS + 8 * slot, somewhere());
  hart.reset({ pc: 0x4000n, mode: 'S' });
  openPmp(test);
  for (let register = 1; register < 32; register++) hart.writeX(register, somewhere());
  for (let register = 0; register < 32; register++) hart.writeF(register, 0x3ff0n << 48n);
  hart.writeCsr(0x302, 0n);
  hart.writeCsr(0x305, BigInt(BASE));
  hart.writeCsr(0x300, (3n << 13n) | (1n << 11n) | (BigInt(next(2)) << 18n));
  hart.writeCsr(0x180, SV39 | BigInt(ROOT / 4096));
}

test('random code under random page tables leaves the same, interpreted and compiled', async () => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const plain = await makeHart({ size: SIZE });
    const compiled = [
      await makeHart({ size: SIZE, jit: { threshold: 1, batch: 1, capacity: 8 } }),
      await makeHart({ size: SIZE, jit: { threshold: 2, batch: 4 } }),
      await makeHart({ size: SIZE, jit: { threshold: 2, batch: 4, apart: true } }),
      await makeHart({ size: SIZE, jit: { threshold: 1e9, batch: 1, warmAfter: 1 } }),
      await makeHart({ size: SIZE, jit: { threshold: 8, batch: 1, warmAfter: 1, frames: 3 } }),
    ];
    const harts = [plain, ...compiled];
    for (const each of harts) prepare(each, seed);
    const next = random(seed + 1_000_000);
    for (let done = 0; done < 40_000; ) {
      const slice = 1 + next(3000);
      // A hart that waits is woken: its time does not pass.
      for (const { hart } of harts)
        for (let left = 4; left > 0 && hart.run(slice) === 'wfi'; ) left--;
      done += slice;
      await setImmediate();
      for (const other of compiled) {
        const where = `seed ${seed}, after ${done}`;
        assert.deepEqual(other.hart.saveState(), plain.hart.saveState(), where);
        assert.deepEqual(
          Buffer.compare(other.memory.readable(BASE, SIZE), plain.memory.readable(BASE, SIZE)),
          0,
          where,
        );
      }
    }
  }
});
