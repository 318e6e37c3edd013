import { Assembler } from './assembler.ts';
import { bases, counter, randomBlock } from './block.ts';
import { type Segment, writeElf } from './elf.ts';
import {
  address,
  INITIAL_BYTES,
  SCRATCH_BYTES,
  save,
  TABLES,
  VIRTUAL_CODE,
  VIRTUAL_SCRATCH,
} from './layout.ts';
import { interestingFloat, interestingInteger, Random } from './random.ts';
import { type CodePages, emitEnd, emitEntry, emitStart, type Mode, rootTable } from './runtime.ts';

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
 * two under Sv39), whose results are printed on the serial port. Some blocks lie over the end of a page
 * and lose both pages every fourth round: fetches fault behind what was done about it, and in their midst.
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
    const [sum, mxr] = [random.chance(0.5), random.chance(0.5)];
    const before = random.chance(0.3) && mode !== 'M' ? 2 + 2 * random.below(100) : undefined;
    const pages = before === undefined ? undefined : codePages(random, mode as 'S' | 'U', sum);
    fillInitial(random, initial, index * INITIAL_BYTES, mode, pages === undefined ? 4 : 16);
    emitEntry(code, { index, mode, sum, mxr, pages });
    if (before !== undefined) padToPageEnd(code, before);
    code.label(`body${index}`);
    const halves = randomBlock(random, items, pages !== undefined);
    const start = code.address + (pages === undefined ? 0 : VIRTUAL_CODE - address.code);
    blocks.push({ mode, start, halves });
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

/** Fills up, so that what follows has `bytes` (even) before the end of a page. */
function padToPageEnd(code: Assembler, bytes: number): void {
  while ((code.address + bytes) % 4096 !== 0) code.half(0);
}

/**
 * What the entries for the two pages of a block say before they are mended. Where S may read a page of U
 * (SUM), QEMU 7.2 also executes it, once it was read.
 */
function codePages(random: Random, mode: 'S' | 'U', sum: boolean): CodePages {
  const flags = () => {
    const any = random.chance(0.4) ? 0 : random.below(256) & ~32;
    return mode === 'S' && sum && (any & PTE.user) !== 0 ? any & ~PTE.execute : any;
  };
  return { broken: [flags(), flags()], whole: mode === 'U' ? 0xdf : 0xcf };
}

/** @param rounds the most that the block is executed */
function fillInitial(random: Random, view: DataView, at: number, mode: Mode, rounds: number): void {
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
  set(counter, 1 + random.below(rounds));
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
 * {@link VIRTUAL_SCRATCH} with random permissions and again behind with full ones. Entries at
 * {@link VIRTUAL_CODE} are set by the program itself.
 */
function pageTables(random: Random): Uint8Array {
  const bytes = new Uint8Array(2 * TABLES * 4096);
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
    entry(root + 4096, 1, root + 3 * 4096, PTE.valid);
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
