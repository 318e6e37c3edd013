import { Assembler, encode } from './assembler.ts';
import { type Segment, writeElf } from './elf.ts';
import { address, SCRATCH_BYTES } from './layout.ts';
import type { Random } from './random.ts';
import { emitEnd, emitStart } from './runtime.ts';

export interface DelegationProgram {
  readonly elf: Uint8Array;
  readonly segments: readonly Segment[];
  /** In words, for who looks for a difference. */
  readonly blocks: readonly string[];
}

const csr = {
  ...{ stvec: 0x105, sepc: 0x141, scause: 0x142, stval: 0x143, sstatus: 0x100 },
  ...{ mtvec: 0x305, mepc: 0x341, mcause: 0x342, mtval: 0x343, mstatus: 0x300, medeleg: 0x302 },
} as const;
/** The handlers' own; where the next record goes; what nobody has; where M goes on; what is misaligned. */
const [t0, t1, s3, s5, s6, s7] = [5, 6, 19, 21, 22, 23] as const;
/** Which handler it was, cause, epc, tval, status, and how often: 8 bytes each. */
const RECORD = 48;
/** An instruction access fault ends a block: it is never delegated. */
const FETCH_FAULT = 1;
const NOWHERE = 40;
const TW = 1 << 21;
const TVM = 1 << 20;

/** What may trap, by mode and by status; or may not. No AMO: QEMU before 8.1 gives its faults the cause of a load's. */
const candidates: readonly (readonly [name: string, word: number, when?: 'U' | 'TW'])[] = [
  ['ecall', encode('ecall', {})],
  ['ebreak', encode('ebreak', {})],
  ['illegal', 0],
  ['illegal', 0xffff_ffff],
  ['mret', encode('mret', {})],
  ['sret', encode('sret', {}), 'U'],
  // In S without TW it would wait.
  ['wfi', encode('wfi', {}), 'TW'],
  ['wfi', encode('wfi', {}), 'U'],
  ['sfence.vma', encode('sfence.vma', {})],
  ['read satp', encode('csrrs', { rd: 7, csr: 0x180 })],
  ['read sstatus', encode('csrrs', { rd: 7, csr: csr.sstatus })],
  ['read mstatus', encode('csrrs', { rd: 7, csr: csr.mstatus })],
  ['read cycle', encode('csrrs', { rd: 7, csr: 0xc00 })],
  ['write cycle', encode('csrrw', { rd: 7, rs1: 7, csr: 0xc00 })],
  ['no csr', encode('csrrw', { rd: 7, rs1: 7, csr: 0x7ff })],
  ['load from nowhere', encode('ld', { rd: 7, rs1: s5 })],
  ['store to nowhere', encode('sd', { rs1: s5, rs2: 7 })],
  ['misaligned lr', encode('lr.d', { rd: 7, rs1: s7 })],
  ['float', encode('fadd.s', { rd: 1, rs1: 2, rs2: 3, rm: 0 })],
  ['float csr', encode('csrrs', { rd: 7, csr: 3 })],
  ['add', encode('addi', { rd: 7, rs1: 7, immediate: 1 })],
];

/**
 * A program that enters S and U again and again, with any exceptions delegated, and executes there what traps.
 * It prints what the handlers of M and S found.
 */
export function delegationProgram(random: Random): DelegationProgram {
  const code = new Assembler(address.code);
  const blocks: string[] = [];
  emitStart(code);
  code.to('begin', 'jal');
  emitHandler(code, 'M');
  emitHandler(code, 'S');
  code.label('begin');
  code.addressTo(t0, 'handle M');
  code.op('csrrw', { csr: csr.mtvec, rs1: t0 });
  code.addressTo(t0, 'handle S');
  code.op('csrrw', { csr: csr.stvec, rs1: t0 });
  code.constant(s3, address.scratch);
  code.constant(s7, address.scratch + SCRATCH_BYTES - 6);
  code.op('addi', { rd: s5, immediate: 1 });
  code.op('slli', { rd: s5, rs1: s5, immediate: NOWHERE });
  const most = Math.floor(SCRATCH_BYTES / RECORD) - 1;
  for (let left = most, index = 0; ; index++) {
    const length = 1 + random.below(7);
    left -= length + 1;
    if (left < 0) break;
    blocks.push(emitBlock(code, random, index, length));
  }
  code.op('addi', { rd: t0, immediate: -1 });
  emitEnd(code);
  const segments = [{ address: address.code, bytes: code.finish() }];
  return { elf: writeElf(address.code, segments), segments, blocks };
}

function emitBlock(code: Assembler, random: Random, index: number, length: number): string {
  const mode = random.pick(['S', 'U'] as const);
  const [tw, tvm, fs] = [random.chance(0.5), random.chance(0.5), random.below(4)];
  const delegated = random.below(0x1_0000) & ~(1 << FETCH_FAULT);
  code.constant(t0, delegated);
  code.op('csrrw', { csr: csr.medeleg, rs1: t0 });
  const level = mode === 'S' ? 1 << 11 : 0;
  code.constant(t0, level | (tw ? TW : 0) | (tvm ? TVM : 0) | (fs << 13) | (random.below(2) << 8));
  code.op('csrrw', { csr: csr.mstatus, rs1: t0 });
  code.addressTo(t0, `body${index}`);
  code.op('csrrw', { csr: csr.mepc, rs1: t0 });
  code.addressTo(s6, `after${index}`);
  code.op('mret');
  code.label(`body${index}`);
  const possible = candidates.filter(
    ([, , when]) => when === undefined || when === mode || (when === 'TW' && tw),
  );
  const names: string[] = [];
  for (let count = 0; count < length; count++) {
    const [name, word] = random.pick(possible);
    code.word(word);
    names.push(name);
  }
  code.op('jalr', { rs1: s5 });
  code.label(`after${index}`);
  return `${mode}${tw ? ' TW' : ''}${tvm ? ' TVM' : ''} FS ${fs} medeleg ${delegated.toString(16)}: ${names.join(', ')}`;
}

/** Records the trap, and goes on behind the instruction; of the end of a block, at s6. */
function emitHandler(code: Assembler, mode: 'M' | 'S'): void {
  const of = <N extends string>(name: N) => csr[`${mode.toLowerCase()}${name}` as keyof typeof csr];
  // Vectors are multiples of four.
  code.label(`handle ${mode}`);
  code.op('addi', { rd: t0, immediate: mode === 'M' ? 3 : 1 });
  code.op('sd', { rs1: s3, rs2: t0 });
  for (const [slot, name] of ['cause', 'epc', 'tval', 'status'].entries()) {
    code.op('csrrs', { rd: t0, csr: of(name) });
    code.op('sd', { rs1: s3, rs2: t0, immediate: 8 * (slot + 1) });
  }
  code.op('addi', { rd: s3, rs1: s3, immediate: RECORD });
  if (mode === 'M') {
    code.op('csrrs', { rd: t0, csr: csr.mcause });
    code.op('addi', { rd: t1, immediate: FETCH_FAULT });
    code.to('go on M', 'bne', { rs1: t0, rs2: t1 });
    code.op('jalr', { rs1: s6 });
    code.label('go on M');
  }
  code.op('csrrs', { rd: t0, csr: of('epc') });
  code.op('addi', { rd: t0, rs1: t0, immediate: 4 });
  code.op('csrrw', { csr: of('epc'), rs1: t0 });
  code.op(mode === 'M' ? 'mret' : 'sret');
}

/** In QEMU 7.2 UXL, VS, GVA and MPV can be written. */
const UNKNOWN_STATUS = (3n << 32n) | (3n << 9n) | (3n << 38n);
const BREAKPOINT = 3n;

/** The first difference of two runs in words, or undefined where there is none. */
export function firstTrapDifference(
  { blocks }: DelegationProgram,
  ours: Uint8Array,
  theirs: Uint8Array,
): string | undefined {
  if (ours.length !== theirs.length || ours.length < SCRATCH_BYTES) {
    return `ours printed ${ours.length} bytes, QEMU ${theirs.length}`;
  }
  const [a, b] = [ours, theirs].map((bytes) => new DataView(bytes.buffer, bytes.byteOffset));
  let block = 0;
  for (let at = 0; at + RECORD <= SCRATCH_BYTES; at += RECORD) {
    const [mine, other] = [a, b].map((view) =>
      [0, 8, 16, 24, 32].map((field) => view!.getBigUint64(at + field, true)),
    );
    const cause = mine![1]!;
    const differs = mine!.some((value, field) => {
      // QEMU 7.2 gives no address with a breakpoint.
      if (field === 3 && cause === BREAKPOINT) return false;
      return ((value ^ other![field]!) & (field === 4 ? ~UNKNOWN_STATUS : -1n)) !== 0n;
    });
    const words = (values: readonly bigint[]) => values.map((each) => each.toString(16)).join(' ');
    if (differs) return `${blocks[block]}\n  ours ${words(mine!)}\n  QEMU ${words(other!)}`;
    if (cause === BigInt(FETCH_FAULT)) block++;
  }
  return block === blocks.length ? undefined : `${block} of ${blocks.length} blocks ended`;
}
