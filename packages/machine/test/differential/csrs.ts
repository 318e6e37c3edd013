import { Assembler } from './assembler.ts';
import { type Segment, writeElf } from './elf.ts';
import { address, SCRATCH_BYTES } from './layout.ts';
import { interestingInteger, type Random } from './random.ts';
import { emitEnd, emitStart } from './runtime.ts';

/** A CSR, the values that it may be given, and the bits that both machines have. */
interface Register {
  readonly name: string;
  readonly number: number;
  /** By csrrw alone: what setting or clearing bits makes of it need not be legal. */
  readonly whole?: boolean;
  readonly legal?: (value: bigint) => bigint;
  readonly compared: bigint;
}

const ALL = (1n << 64n) - 1n;
const S_INTERRUPTS = 0x222n;
const M_INTERRUPTS = 0xaaan;
const even = ALL - 1n;
/** In QEMU 7.2 UXL, VS, GVA and MPV can be written. */
const STATUS = ALL & ~((3n << 32n) | (3n << 9n) | (3n << 38n));
/** No interrupt is taken, loads and stores stay those of M, and MPP names a mode. */
const status = (value: bigint): bigint => {
  const quiet = value & STATUS & ~((1n << 3n) | (1n << 17n));
  return (quiet & (3n << 11n)) === 2n << 11n ? quiet & ~(3n << 11n) : quiet;
};
/** No entry is locked, none has reserved bits, none may be written and not read. */
const protection = (value: bigint): bigint => {
  let legal = 0n;
  for (let byte = 0n; byte < 64n; byte += 8n) {
    const config = (value >> byte) & 0x1fn;
    legal |= ((config & 3n) === 2n ? config & ~2n : config) << byte;
  }
  return legal;
};
/** Bare, Sv39, Sv48: QEMU has Sv57, too. */
const translation = (value: bigint): bigint =>
  (value & ((1n << 60n) - 1n)) | ([0n, 8n, 9n, 1n][Number(value >> 62n)]! << 60n);

const registers: readonly Register[] = [
  { name: 'sstatus', number: 0x100, whole: true, legal: status, compared: STATUS },
  { name: 'sie', number: 0x104, compared: S_INTERRUPTS },
  { name: 'stvec', number: 0x105, compared: ALL },
  { name: 'scounteren', number: 0x106, compared: 0xffff_ffffn },
  { name: 'senvcfg', number: 0x10a, compared: 1n },
  { name: 'sscratch', number: 0x140, compared: ALL },
  // QEMU 7.2 keeps bit 0.
  { name: 'sepc', number: 0x141, compared: even },
  { name: 'scause', number: 0x142, compared: ALL },
  { name: 'stval', number: 0x143, compared: ALL },
  { name: 'sip', number: 0x144, compared: S_INTERRUPTS },
  { name: 'satp', number: 0x180, whole: true, legal: translation, compared: ALL },
  { name: 'mstatus', number: 0x300, whole: true, legal: status, compared: STATUS },
  // QEMU's have bits of the hypervisor extension, also without it.
  { name: 'medeleg', number: 0x302, compared: 0xb3ffn },
  { name: 'mideleg', number: 0x303, compared: S_INTERRUPTS },
  { name: 'mie', number: 0x304, compared: M_INTERRUPTS },
  { name: 'mcounteren', number: 0x306, compared: 0xffff_ffffn },
  { name: 'menvcfg', number: 0x30a, whole: true, legal: (value) => value & 1n, compared: 1n },
  { name: 'mcountinhibit', number: 0x320, compared: 5n },
  { name: 'mepc', number: 0x341, compared: even },
  { name: 'mcause', number: 0x342, compared: ALL },
  { name: 'mtval', number: 0x343, compared: ALL },
  { name: 'mip', number: 0x344, compared: S_INTERRUPTS },
  ...[0, 2].map((index) => ({
    ...{ name: `pmpcfg${index}`, number: 0x3a0 + index },
    ...{ whole: true, legal: protection, compared: ALL },
  })),
  ...Array.from({ length: 16 }, (_, index) => ({
    ...{ name: `pmpaddr${index}`, number: 0x3b0 + index, compared: (1n << 54n) - 1n },
  })),
];

interface Access {
  readonly register: Register;
  readonly name: string;
  readonly value: bigint;
}

export interface CsrProgram {
  readonly elf: Uint8Array;
  readonly segments: readonly Segment[];
  /** What it did, in order. It prints what each gave, 8 bytes. */
  readonly accesses: readonly Access[];
}

const [t0, t1, s2, s3] = [5, 6, 18, 19];
/** Accesses of which results and values are reached from one register. */
const REACH = 128;

/** A program in M-mode that reads and changes privileged CSRs at random. */
export function csrProgram(random: Random): CsrProgram {
  const count = SCRATCH_BYTES / 8;
  const accesses = Array.from({ length: count }, () => access(random));
  const code = new Assembler(address.code);
  const values = new DataView(new ArrayBuffer(8 * count));
  emitStart(code);
  code.constant(s2, address.initial);
  code.constant(s3, address.scratch);
  for (const [index, { register, name, value }] of accesses.entries()) {
    if (index > 0 && index % REACH === 0) {
      for (const rd of [s2, s3]) code.op('addi', { rd, rs1: rd, immediate: 8 * REACH });
    }
    const immediate = 8 * (index % REACH);
    values.setBigUint64(8 * index, value, true);
    code.op('ld', { rd: t0, rs1: s2, immediate });
    code.op(name, { rd: t1, rs1: t0, csr: register.number });
    code.op('sd', { rs1: s3, rs2: t1, immediate });
  }
  emitEnd(code);
  const segments = [
    { address: address.code, bytes: code.finish() },
    { address: address.initial, bytes: new Uint8Array(values.buffer) },
  ];
  return { elf: writeElf(address.code, segments), segments, accesses };
}

function access(random: Random): Access {
  const register = random.pick(registers);
  const { whole, legal = (value: bigint) => value } = register;
  const name = whole ? 'csrrw' : random.pick(['csrrw', 'csrrs', 'csrrc']);
  return { register, name, value: legal(interestingInteger(random)) };
}

/** The first difference of two runs in words, or undefined where there is none. */
export function firstCsrDifference(
  { accesses }: CsrProgram,
  ours: Uint8Array,
  theirs: Uint8Array,
): string | undefined {
  const word = (bytes: Uint8Array, at: number) =>
    new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8 * at, true);
  if (ours.length !== theirs.length || ours.length < 8 * accesses.length) {
    return `ours printed ${ours.length} bytes, QEMU ${theirs.length}`;
  }
  const at = accesses.findIndex(
    ({ register }, index) => ((word(ours, index) ^ word(theirs, index)) & register.compared) !== 0n,
  );
  if (at < 0) return undefined;
  const lines = accesses
    .slice(Math.max(0, at - 6), at + 1)
    .map(({ register, name, value }) => `  ${name} ${register.name}, ${value.toString(16)}`);
  const [a, b] = [word(ours, at), word(theirs, at)].map((value) => value.toString(16));
  return [`access ${at}: ours ${a}, QEMU ${b}`, ...lines].join('\n');
}
