import { decodeImmediate } from '../../src/isa/encode.ts';
import { expandCompressed } from '../../src/isa/expand.ts';
import { type Instruction, immediateOf } from '../../src/isa/instruction.ts';
import { findInstruction, instructions } from '../../src/isa/table.ts';
import { encode } from './assembler.ts';
import type { Random } from './random.ts';

/** Registers that hold addresses into scratch memory and are never written by a block. */
export const bases = { middle: 2, other: 9, misaligned: 18 } as const;
/** Counts the rounds of a block down; written by nothing else. */
export const counter = 27;
const protectedRegisters = new Set<number>(Object.values(bases));

/**
 * Trap handling of their own, or waiting: left to directed tests. So is ctzw, which in QEMU 7.2
 * counts on into the upper half where the lower one is zero.
 */
const excluded = new Set(['ecall', 'ebreak', 'sret', 'mret', 'wfi', 'jalr', 'ctzw']);
const candidates = instructions.filter(({ name }) => !excluded.has(name));
/** fflags, frm, fcsr; sscratch, stval; one that does not exist. QEMU 7.2 keeps bit 0 of sepc. */
const csrs = [1, 2, 3, 1, 2, 3, 0x140, 0x143, 0x7ff];

/** One or two instructions; `skip` counts the following items that a branch jumps over. */
interface Item {
  readonly size: number;
  encode(distance: number): readonly number[];
  readonly skip?: number;
}

/**
 * Random instructions, as halves, that are executed as often as {@link counter} says. Other jumps
 * go forward only.
 *
 * @param breaks whether every fourth round begins with an ebreak
 */
export function randomBlock(random: Random, items: number, breaks: boolean): Uint16Array {
  const chosen = Array.from({ length: items }, () => randomItem(random));
  if (breaks) chosen.unshift(breakpoint(random));
  const starts: number[] = [];
  let size = 0;
  for (const item of chosen) {
    starts.push(size);
    size += item.size;
  }
  starts.push(size);
  const halves = chosen.flatMap((item, at) => {
    const target = starts[Math.min(at + 1 + (item.skip ?? 0), chosen.length)]!;
    return item.encode(target - starts[at]!);
  });
  const back = [
    encode('addi', { rd: counter, rs1: counter, immediate: -1 }),
    encode('bne', { rs1: counter, immediate: -(size + 4) }),
  ];
  return Uint16Array.from([...halves, ...back.flatMap(halvesOf)]);
}

function randomItem(random: Random): Item {
  if (random.chance(0.3)) return compressed(random);
  if (random.chance(0.03)) return reservedPair(random);
  if (random.chance(0.03)) return selfModifying(random);
  if (random.chance(0.05)) return accessesInRow(random);
  for (;;) {
    const item = wide(random, random.pick(candidates));
    if (item !== undefined) return item;
  }
}

function breakpoint(random: Random): Item {
  const [rd] = distinct(random, 1) as [number];
  const words = [
    encode('andi', { rd, rs1: counter, immediate: 3 }),
    encode('bne', { rs1: rd, immediate: 8 }),
    encode('ebreak', {}),
  ];
  return { size: 12, encode: () => words.flatMap(halvesOf) };
}

function wide(random: Random, instruction: Instruction): Item | undefined {
  const { name } = instruction;
  const kind = immediateOf(instruction);
  const isJump = kind === 'B' || kind === 'J';
  const usesMemory = instruction.semantics.some((part) =>
    JSON.stringify(part, plain).includes('"address"'),
  );
  if ((name.startsWith('lr.') || name.startsWith('sc.')) && random.chance(0.9)) return undefined;
  const fields = {
    rd: destination(random),
    rs1: usesMemory
      ? random.pick([bases.middle, bases.middle, bases.other, bases.misaligned])
      : random.below(32),
    rs2: random.below(32),
    rs3: random.below(32),
    rm: random.chance(0.3) ? random.below(8) : 7,
    csr: random.pick(csrs),
    aq: random.below(2),
    rl: random.below(2),
    immediate: kind === 'U' ? random.word() & 0xfffff000 : signed(random.word(), 12),
  };
  if (!isJump) return { size: 4, encode: () => halvesOf(encode(instruction, fields)) };
  const skip = random.below(8);
  return {
    size: 4,
    skip,
    encode: (immediate) => halvesOf(encode(instruction, { ...fields, immediate })),
  };
}

/** lr, something that touches no memory, sc to the same place. */
function reservedPair(random: Random): Item {
  const suffix = random.pick(['w', 'd']);
  const rs1 = random.pick([bases.middle, bases.other]);
  const words = [
    encode(`lr.${suffix}`, { rd: destination(random), rs1 }),
    encode('add', { rd: destination(random), rs1: random.below(32), rs2: random.below(32) }),
    encode(`sc.${suffix}`, { rd: destination(random), rs1, rs2: random.below(32) }),
  ];
  return { size: 12, encode: () => words.flatMap(halvesOf) };
}

/** Changes the immediate of an addi that follows, after a fence.i: each round another one. */
function selfModifying(random: Random): Item {
  const [at, word, mask] = distinct(random, 3) as [number, number, number];
  const far = random.below(4);
  const nops = Array.from({ length: far }, () => encode('addi', { rd: 0 }));
  const distance = (6 + far) * 4;
  const words = [
    encode('auipc', { rd: at, immediate: 0 }),
    encode('lw', { rd: word, rs1: at, immediate: distance }),
    encode('lui', { rd: mask, immediate: (1 + random.below(0xfff)) << 20 }),
    encode('xor', { rd: word, rs1: word, rs2: mask }),
    encode('sw', { rs1: at, rs2: word, immediate: distance }),
    encode('fence.i', {}),
    ...nops,
    encode('addi', {
      rd: destination(random),
      rs1: random.below(32),
      immediate: random.below(2048),
    }),
  ];
  return { size: words.length * 4, encode: () => words.flatMap(halvesOf) };
}

/** Loads and stores side by side, as functions save registers: aligned or not, in one page or in two. */
function accessesInRow(random: Random): Item {
  const rs1 = random.pick([bases.middle, bases.other, bases.other, bases.misaligned]);
  const start = random.below(64) - 32;
  const words = Array.from({ length: 2 + random.below(5) }, (_, index) => {
    const immediate = start + index * random.pick([1, 2, 4, 8, 8, 8]);
    const loads = ['ld', 'lw', 'lhu', 'lb', 'fld'];
    const name = random.pick(random.chance(0.5) ? loads : ['sd', 'sw', 'sh', 'sb', 'fsd']);
    const rd = name === 'fld' ? random.below(32) : destination(random);
    return encode(name, { rd, rs1, rs2: random.below(32), immediate });
  });
  return { size: words.length * 4, encode: () => words.flatMap(halvesOf) };
}

function compressed(random: Random): Item {
  for (;;) {
    const half = random.word() & 0xffff;
    if ((half & 3) === 3) continue;
    const word = expandCompressed(half);
    if (word === 0 || !isAllowed(word)) continue;
    const instruction = findInstruction(word)!;
    const kind = immediateOf(instruction);
    if (kind !== 'B' && kind !== 'J') return { size: 2, encode: () => [half] };
    return { size: 2, skip: random.below(8), encode: (distance) => [withDistance(half, distance)] };
  }
}

function isAllowed(word: number): boolean {
  const instruction = findInstruction(word);
  if (instruction === undefined || excluded.has(instruction.name)) return false;
  const usesMemory = /^f?[ls][bhwd]u?$/.test(instruction.name);
  if (usesMemory && !protectedRegisters.has((word >>> 15) & 31)) return false;
  const writesX = instruction.fields.has('rd') && !instruction.name.startsWith('f');
  return !writesX || !isProtected((word >>> 7) & 31);
}

/** The same compressed jump with another distance: found by trying all immediates. */
function withDistance(half: number, distance: number): number {
  const isJump = (half & 0xe003) === 0xa001;
  const kind = isJump ? 'J' : 'B';
  const mask = isJump ? 0x1ffc : 0x1c7c;
  for (let bits = mask; ; bits = (bits - 1) & mask) {
    const tried = (half & ~mask) | bits;
    if (decodeImmediate(kind, expandCompressed(tried)) === distance) return tried;
    if (bits === 0) throw new Error(`no compressed jump over ${distance} bytes`);
  }
}

function destination(random: Random): number {
  for (;;) {
    const register = random.below(32);
    if (!isProtected(register)) return register;
  }
}

/** Registers that are not protected, all different, x0 not among them. */
function distinct(random: Random, count: number): number[] {
  const found = new Set<number>();
  while (found.size < count) found.add(destination(random));
  found.delete(0);
  return found.size === count ? [...found] : distinct(random, count);
}

const isProtected = (register: number): boolean =>
  register === counter || protectedRegisters.has(register);

function halvesOf(word: number): readonly number[] {
  return [word & 0xffff, word >>> 16];
}

function signed(value: number, bits: number): number {
  return (value << (32 - bits)) >> (32 - bits);
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
