import type { Assembler } from './assembler.ts';
import {
  address,
  INITIAL_BYTES,
  SCRATCH_BYTES,
  save,
  TABLES,
  TRAPS,
  VIRTUAL_CODE,
} from './layout.ts';

const ra = 1;
const t0 = 5;
const t1 = 6;
const t2 = 7;
const s0 = 8;
const s1 = 9;
const t3 = 28;
const t4 = 29;
const t5 = 30;
const t6 = 31;

const csr = {
  fcsr: 0x003,
  satp: 0x180,
  mstatus: 0x300,
  mtvec: 0x305,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  pmpcfg0: 0x3a0,
  pmpaddr0: 0x3b0,
} as const;

export type Mode = 'M' | 'S' | 'U';

/** Flags of page table entries for the two pages that a block is executed in. */
export interface CodePages {
  readonly broken: readonly [number, number];
  readonly whole: number;
}

export interface BlockEntry {
  readonly index: number;
  readonly mode: Mode;
  /** mstatus.SUM and mstatus.MXR. */
  readonly sum: boolean;
  readonly mxr: boolean;
  /** Where its code is executed at {@link VIRTUAL_CODE}, by pages. Not in M. */
  readonly pages?: CodePages | undefined;
}

/** From where code is executed by pages to where it is. */
const TO_PHYSICAL = address.code - VIRTUAL_CODE;
const cause = { breakpoint: 3, fetchPageFault: 12 } as const;

/** Start-up: trap vector, floating point on, all memory open to S and U. */
export function emitStart(code: Assembler): void {
  code.to('start', 'jal');
  code.label('handler');
  emitHandler(code);
  code.label('start');
  code.addressTo(t0, 'handler');
  code.op('csrrw', { csr: csr.mtvec, rs1: t0 });
  code.constant(t0, 0x6000);
  code.op('csrrs', { csr: csr.mstatus, rs1: t0 });
  code.op('addi', { rd: t0, immediate: -1 });
  code.op('csrrw', { csr: csr.pmpaddr0, rs1: t0 });
  code.op('addi', { rd: t0, immediate: 0x1f });
  code.op('csrrw', { csr: csr.pmpcfg0, rs1: t0 });
}

/** Enters the block at `body<index>` in its mode, with the registers of its row of initial values. */
export function emitEntry(code: Assembler, entry: BlockEntry): void {
  code.constant(t6, address.save);
  code.op('csrrw', { csr: csr.mscratch, rs1: t6 });
  for (let at: number = save.trapCount; at < save.reportBytes; at += 8) {
    code.op('sd', { rs1: t6, immediate: at });
  }
  code.addressTo(t0, `after${entry.index}`);
  code.op('sd', { rs1: t6, rs2: t0, immediate: save.next });
  code.addressTo(t0, `body${entry.index}`);
  code.op('sd', { rs1: t6, immediate: save.entry });
  if (entry.pages !== undefined) emitPages(code, entry.mode as 'S' | 'U', entry.pages);
  code.op('csrrw', { csr: csr.mepc, rs1: t0 });
  emitMode(code, entry);
  code.constant(t6, address.initial + entry.index * INITIAL_BYTES);
  code.op('ld', { rd: t0, rs1: t6, immediate: save.fcsr });
  code.op('csrrw', { csr: csr.fcsr, rs1: t0 });
  for (let n = 0; n < 32; n++) code.op('fld', { rd: n, rs1: t6, immediate: save.f + n * 8 });
  for (let n = 1; n < 32; n++) code.op('ld', { rd: n, rs1: t6, immediate: n * 8 });
  code.op('mret');
}

/** Notes the pages of the block at t0, breaks them, and moves t0 there. */
function emitPages(code: Assembler, mode: 'S' | 'U', { broken, whole }: CodePages): void {
  code.op('srli', { rd: t1, rs1: t0, immediate: 12 });
  code.op('slli', { rd: t1, rs1: t1, immediate: 10 });
  const flags = { broken, whole: [whole, whole] } as const;
  for (const name of ['broken', 'whole'] as const) {
    for (const page of [0, 1] as const) {
      code.op('addi', { rd: t2, rs1: t1, immediate: flags[name][page] + page * 0x400 });
      code.op('sd', { rs1: t6, rs2: t2, immediate: save[name] + page * 8 });
    }
  }
  code.op('lui', { rd: t1, immediate: TO_PHYSICAL });
  code.op('sub', { rd: t0, rs1: t0, rs2: t1 });
  code.op('srli', { rd: t1, rs1: t0, immediate: 12 });
  code.op('sd', { rs1: t6, rs2: t1, immediate: save.firstPage });
  code.constant(t2, VIRTUAL_CODE / 4096);
  code.op('sub', { rd: t1, rs1: t1, rs2: t2 });
  code.op('slli', { rd: t1, rs1: t1, immediate: 3 });
  code.constant(t3, rootTable(mode) + 3 * 4096);
  code.op('add', { rd: t3, rs1: t3, rs2: t1 });
  code.op('sd', { rs1: t6, rs2: t3, immediate: save.entry });
  emitBreak(code);
}

/** Takes both pages away. Their entries are at t3; changes t4. */
function emitBreak(code: Assembler): void {
  for (const page of [0, 8]) {
    code.op('ld', { rd: t4, rs1: t6, immediate: save.broken + page });
    code.op('sd', { rs1: t3, rs2: t4, immediate: page });
  }
  code.op('sfence.vma');
}

function emitMode(code: Assembler, { mode, sum, mxr }: BlockEntry): void {
  const cleared = 0x1800 | (1 << 18) | (1 << 19);
  const level = { U: 0, S: 1, M: 3 }[mode];
  code.constant(t0, cleared);
  code.op('csrrc', { csr: csr.mstatus, rs1: t0 });
  code.constant(t0, (level << 11) | (sum ? 1 << 18 : 0) | (mxr ? 1 << 19 : 0));
  code.op('csrrs', { csr: csr.mstatus, rs1: t0 });
  code.constant(t0, mode === 'M' ? 0 : rootTable(mode) / 4096);
  code.op('addi', { rd: t1, immediate: mode === 'M' ? 0 : 8 });
  code.op('slli', { rd: t1, rs1: t1, immediate: 60 });
  code.op('or', { rd: t0, rs1: t0, rs2: t1 });
  code.op('csrrw', { csr: csr.satp, rs1: t0 });
  code.op('sfence.vma');
}

/** Page tables lie one after another: for each mode a root, a middle one and two of leaves. */
export function rootTable(mode: 'S' | 'U'): number {
  return address.tables + (mode === 'S' ? 0 : TABLES * 4096);
}

/** After the last block: prints scratch memory and page tables, and powers off. */
export function emitEnd(code: Assembler): void {
  emitPrint(code, address.scratch, SCRATCH_BYTES, 'scratch');
  for (const mode of ['S', 'U'] as const)
    emitPrint(code, rootTable(mode) + 2 * 4096, 64, `leaf${mode}`);
  code.constant(t0, address.power);
  code.constant(t1, 0x5555);
  code.op('sw', { rs1: t0, rs2: t1 });
  code.label('forever');
  code.to('forever', 'jal');
}

function emitPrint(code: Assembler, from: number, bytes: number, name: string): void {
  code.constant(t0, from);
  code.constant(t1, from + bytes);
  code.constant(t2, address.uart);
  code.label(`print ${name}`);
  code.op('lbu', { rd: s0, rs1: t0 });
  code.label(`wait ${name}`);
  code.op('lbu', { rd: s1, rs1: t2, immediate: 5 });
  code.op('andi', { rd: s1, rs1: s1, immediate: 0x20 });
  code.to(`wait ${name}`, 'beq', { rs1: s1 });
  code.op('sb', { rs1: t2, rs2: s0 });
  code.op('addi', { rd: t0, rs1: t0, immediate: 1 });
  code.to(`print ${name}`, 'bne', { rs1: t0, rs2: t1 });
}

/**
 * Every trap comes here: an ecall ends the block, and an ebreak takes its pages away. Anything else is
 * recorded; a page that could not be fetched is mended, other instructions are skipped.
 */
function emitHandler(code: Assembler): void {
  code.op('csrrw', { rd: t6, csr: csr.mscratch, rs1: t6 });
  for (const [slot, register] of [t5, t4, t3].entries()) {
    code.op('sd', { rs1: t6, rs2: register, immediate: save.spill + slot * 8 });
  }
  code.op('csrrs', { rd: t5, csr: csr.mcause });
  code.op('addi', { rd: t4, rs1: t5, immediate: -8 });
  code.op('sltiu', { rd: t4, rs1: t4, immediate: 4 });
  code.to('block end', 'bne', { rs1: t4 });
  code.op('addi', { rd: t4, rs1: t5, immediate: -cause.breakpoint });
  code.to('break', 'beq', { rs1: t4 });
  emitRecord(code);
  emitMend(code);
  code.label('break');
  code.op('ld', { rd: t3, rs1: t6, immediate: save.entry });
  emitBreak(code);
  code.op('csrrs', { rd: t5, csr: csr.mepc });
  code.label('skip');
  emitSkip(code);
  code.label('go on');
  restoreSpilled(code);
  code.op('csrrw', { rd: t6, csr: csr.mscratch, rs1: t6 });
  code.op('mret');

  code.label('block end');
  restoreSpilled(code);
  for (let n = 0; n < 31; n++) code.op('sd', { rs1: t6, rs2: n, immediate: n * 8 });
  code.op('csrrs', { rd: ra, csr: csr.mscratch });
  code.op('sd', { rs1: t6, rs2: ra, immediate: 31 * 8 });
  for (let n = 0; n < 32; n++) code.op('fsd', { rs1: t6, rs2: n, immediate: save.f + n * 8 });
  code.op('csrrs', { rd: ra, csr: csr.fcsr });
  code.op('sd', { rs1: t6, rs2: ra, immediate: save.fcsr });
  code.op('csrrw', { csr: csr.mscratch, rs1: t6 });
  emitPrint(code, address.save, save.reportBytes, 'report');
  code.constant(t0, address.save);
  code.op('ld', { rd: t0, rs1: t0, immediate: save.next });
  code.op('jalr', { rs1: t0 });
}

function restoreSpilled(code: Assembler): void {
  for (const [slot, register] of [t5, t4, t3].entries()) {
    code.op('ld', { rd: register, rs1: t6, immediate: save.spill + slot * 8 });
  }
}

/** Counts the trap and, for the first ones, notes cause, tval and epc. Leaves mepc in t5. */
function emitRecord(code: Assembler): void {
  code.op('ld', { rd: t4, rs1: t6, immediate: save.trapCount });
  code.op('addi', { rd: t3, rs1: t4, immediate: 1 });
  code.op('sd', { rs1: t6, rs2: t3, immediate: save.trapCount });
  code.op('addi', { rd: t3, rs1: t4, immediate: -TRAPS });
  code.to('no record', 'bge', { rs1: t3 });
  code.op('addi', { rd: t3, immediate: 24 });
  code.op('mul', { rd: t4, rs1: t4, rs2: t3 });
  code.op('add', { rd: t4, rs1: t4, rs2: t6 });
  for (const [slot, number] of [csr.mcause, csr.mtval, csr.mepc].entries()) {
    code.op('csrrs', { rd: t5, csr: number });
    code.op('sd', { rs1: t4, rs2: t5, immediate: save.traps + slot * 8 });
  }
  code.label('no record');
  code.op('csrrs', { rd: t5, csr: csr.mepc });
}

/** Mends the page that a fetch missed. Keeps t5 for what is to be skipped instead. */
function emitMend(code: Assembler): void {
  code.op('csrrs', { rd: t4, csr: csr.mcause });
  code.op('addi', { rd: t4, rs1: t4, immediate: -cause.fetchPageFault });
  code.to('skip', 'bne', { rs1: t4 });
  code.op('ld', { rd: t3, rs1: t6, immediate: save.entry });
  code.op('csrrs', { rd: t4, csr: csr.mtval });
  code.op('srli', { rd: t4, rs1: t4, immediate: 12 });
  code.op('ld', { rd: t5, rs1: t6, immediate: save.firstPage });
  code.op('sub', { rd: t4, rs1: t4, rs2: t5 });
  code.op('slli', { rd: t4, rs1: t4, immediate: 3 });
  code.op('add', { rd: t3, rs1: t3, rs2: t4 });
  code.op('add', { rd: t4, rs1: t4, rs2: t6 });
  code.op('ld', { rd: t4, rs1: t4, immediate: save.whole });
  code.op('sd', { rs1: t3, rs2: t4 });
  code.op('sfence.vma');
  code.to('go on', 'jal');
}

/** Moves mepc (in t5) past the instruction there, which has two or four bytes. */
function emitSkip(code: Assembler): void {
  code.op('srli', { rd: t3, rs1: t5, immediate: 31 });
  code.op('addi', { rd: t4, rs1: t5 });
  code.to('physical', 'bne', { rs1: t3 });
  code.op('lui', { rd: t3, immediate: TO_PHYSICAL });
  code.op('add', { rd: t4, rs1: t4, rs2: t3 });
  code.label('physical');
  code.op('lhu', { rd: t3, rs1: t4 });
  code.op('andi', { rd: t3, rs1: t3, immediate: 3 });
  code.op('sltiu', { rd: t3, rs1: t3, immediate: 3 }); // 1 for two bytes
  code.op('slli', { rd: t3, rs1: t3, immediate: 1 });
  code.op('addi', { rd: t5, rs1: t5, immediate: 4 });
  code.op('sub', { rd: t5, rs1: t5, rs2: t3 });
  code.op('csrrw', { csr: csr.mepc, rs1: t5 });
}
