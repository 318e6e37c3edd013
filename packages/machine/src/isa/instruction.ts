import type { Stmt } from './ir.ts';

export type Extension =
  | 'I'
  | 'M'
  | 'A'
  | 'F'
  | 'D'
  | 'Zba'
  | 'Zbb'
  | 'Zbs'
  | 'Zicsr'
  | 'Zifencei'
  | 'Privileged';

/** How operands are written in assembly, `,` between them. `offset` and `target` are immediates. */
export type Syntax = string;

/** One instruction of 32 bits. */
export interface Instruction {
  readonly name: string;
  readonly extension: Extension;
  /** Bits that are fixed, and their values (unsigned). */
  readonly mask: number;
  readonly match: number;
  readonly fields: ReadonlySet<FieldName>;
  readonly syntax: Syntax;
  readonly semantics: readonly Stmt[];
}

interface Field {
  readonly width: number;
  /** The immediate this field is (part of). */
  readonly immediate?: ImmediateKind;
}

/** Layouts of immediates (Unprivileged spec, "Immediate Encoding Variants"), shifts and zimm. */
export type ImmediateKind = 'I' | 'S' | 'B' | 'U' | 'J' | 'shamt5' | 'shamt6' | 'zimm';

/** Fields of the patterns below, by the names that riscv-opcodes gives them where it has one. */
export const fields = {
  rd: { width: 5 },
  rs1: { width: 5 },
  rs2: { width: 5 },
  rs3: { width: 5 },
  rm: { width: 3 },
  aq: { width: 1 },
  rl: { width: 1 },
  csr: { width: 12 },
  fm: { width: 4 },
  pred: { width: 4 },
  succ: { width: 4 },
  imm12: { width: 12, immediate: 'I' },
  imm12hi: { width: 7, immediate: 'S' },
  imm12lo: { width: 5, immediate: 'S' },
  bimm12hi: { width: 7, immediate: 'B' },
  bimm12lo: { width: 5, immediate: 'B' },
  imm20: { width: 20, immediate: 'U' },
  jimm20: { width: 20, immediate: 'J' },
  shamtw: { width: 5, immediate: 'shamt5' },
  shamtd: { width: 6, immediate: 'shamt6' },
  zimm: { width: 5, immediate: 'zimm' },
} as const satisfies Record<string, Field>;
export type FieldName = keyof typeof fields;

/**
 * An instruction from its pattern: bits and field names from bit 31 down to 0, separated by
 * spaces: `0000000 rs2 rs1 000 rd 0110011`.
 */
export function instruction(
  extension: Extension,
  name: string,
  pattern: string,
  syntax: Syntax,
  semantics: readonly Stmt[],
): Instruction {
  let mask = 0n;
  let match = 0n;
  let bits = 0;
  const used = new Set<FieldName>();
  for (const token of pattern.split(' ')) {
    const width = BigInt(widthOf(token));
    mask <<= width;
    match <<= width;
    bits += Number(width);
    if (token in fields) used.add(token as FieldName);
    else {
      mask |= (1n << width) - 1n;
      match |= BigInt(`0b${token}`);
    }
  }
  if (bits !== 32) throw new Error(`Pattern of ${name} has ${bits} bits`);
  return {
    name,
    extension,
    mask: Number(mask),
    match: Number(match),
    fields: used,
    syntax,
    semantics,
  };
}

function widthOf(token: string): number {
  return token in fields ? fields[token as FieldName].width : token.length;
}

/** Whether it writes a floating-point register, and so leaves mstatus.FS dirty. */
export function dirtiesFloat({ semantics }: Instruction): boolean {
  return semantics.some(({ kind }) => kind === 'setF');
}

/** Which immediate an instruction carries, if any. */
export function immediateOf(instruction: Instruction): ImmediateKind | undefined {
  for (const name of instruction.fields) {
    const field: Field = fields[name];
    if (field.immediate !== undefined) return field.immediate;
  }
  return undefined;
}
