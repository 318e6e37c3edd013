import { Assembler } from './assembler.ts';
import { bases, counter, randomBlock } from './block.ts';
import { type Segment, writeElf } from './elf.ts';
import { address, INITIAL_BYTES, SCRATCH_BYTES, save, VIRTUAL_SCRATCH } from './layout.ts';
import { interestingFloat, interestingInteger, Random } from './random.ts';
import { emitEnd, emitEntry, emitStart, type Mode, rootTable } from './runtime.ts';

export interface Block {
  readonly mode: Mode;
  readonly start: number;
  readonly halves: Uint16Array;
}

export interface Program {
  readonly elf: Uint8Array;
  readonly segments: readonly Segment[];
  readonly blocks: readonly Block[];
}

/**
 * A bare-metal program of random blocks, each run with random registers in M, S or U (the latter
 * two under Sv39), whose results are printed on the serial port.
 *
 * @param items instructions a block
 */
export function randomProgram(seed: number, count: number, items: number): Program {
  const random = new Random(seed);
  const code = new Assembler(address.code);
  const initial = new DataView(new ArrayBuffer(count * INITIAL_BYTES));
  const blocks: Block[] = [];
  emitStart(code);
  for (let index = 0; index < count; index++) {
    const mode = random.pick(['M', 'S', 'U'] as const);
    fillInitial(random, initial, index * INITIAL_BYTES, mode);
    emitEntry(code, { index, mode, sum: random.chance(0.5), mxr: random.chance(0.5) });
    code.label(`body${index}`);
    const halves = randomBlock(random, items);
    blocks.push({ mode, start: code.address, halves });
    for (const half of halves) code.half(half);
    code.op('ecall');
    if (halves.length % 2 === 1) code.half(0);
    code.label(`after${index}`);
  }
  emitEnd(code);
  const segments = [
    { address: address.code, bytes: code.finish() },
    { address: address.scratch, bytes: scratch(random) },
    { address: address.initial, bytes: new Uint8Array(initial.buffer) },
    { address: address.tables, bytes: pageTables(random) },
  ];
  return { elf: writeElf(address.code, segments), segments, blocks };
}

function fillInitial(random: Random, view: DataView, at: number, mode: Mode): void {
  for (let n = 1; n < 32; n++)
    view.setBigUint64(at + save.x + n * 8, interestingInteger(random), true);
  for (let n = 0; n < 32; n++)
    view.setBigUint64(at + save.f + n * 8, interestingFloat(random), true);
  const rounding = random.chance(0.1) ? random.below(8) : random.below(5);
  view.setBigUint64(
    at + save.fcsr,
    BigInt((rounding << 5) | (random.chance(0.5) ? 1 : random.below(32))),
    true,
  );
  const base = mode === 'M' ? address.scratch : VIRTUAL_SCRATCH + (random.chance(0.3) ? 0x4000 : 0);
  const set = (register: number, value: number) =>
    view.setBigUint64(at + register * 8, BigInt(value), true);
  set(counter, 1 + random.below(4));
  set(bases.middle, base + 0x1000);
  set(bases.other, base + 0x3000 - random.pick([0, 8, 16]));
  set(bases.misaligned, base + 0x1000 - random.below(9));
}

function scratch(random: Random): Uint8Array {
  const view = new DataView(new ArrayBuffer(SCRATCH_BYTES));
  for (let at = 0; at < SCRATCH_BYTES; at += 8)
    view.setBigUint64(at, interestingInteger(random), true);
  return new Uint8Array(view.buffer);
}

const PTE = {
  valid: 1,
  read: 2,
  write: 4,
  execute: 8,
  user: 16,
  accessed: 64,
  dirty: 128,
} as const;

/**
 * For S and for U: code and tables where they are (a leaf of 1 GiB), the scratch pages at
 * {@link VIRTUAL_SCRATCH} with random permissions and again behind with full ones.
 */
function pageTables(random: Random): Uint8Array {
  const bytes = new Uint8Array(6 * 4096);
  const view = new DataView(bytes.buffer);
  for (const mode of ['S', 'U'] as const) {
    const user = mode === 'U' ? PTE.user : 0;
    const root = rootTable(mode);
    const entry = (table: number, index: number, physical: number, flags: number) =>
      view.setBigUint64(
        table - address.tables + index * 8,
        BigInt((physical / 4096) * 1024 + flags),
        true,
      );
    entry(root, 1, root + 4096, PTE.valid);
    entry(root, 2, 0x8000_0000, 0xcf | user);
    entry(root + 4096, 0, root + 8192, PTE.valid);
    for (let page = 0; page < 4; page++) {
      entry(
        root + 8192,
        page,
        address.scratch + page * 4096,
        random.chance(0.3) ? 0xcf | user : random.below(256) & ~32,
      );
      entry(root + 8192, page + 4, address.scratch + page * 4096, 0xcf | user);
    }
  }
  return bytes;
}
