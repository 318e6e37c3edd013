import {
  float,
  fs1,
  fs2,
  fs3,
  imm,
  int,
  load,
  needsFloat,
  op,
  rs1,
  select,
  setF,
  setX,
  sext,
  store,
  word,
} from './build.ts';
import { type Extension, type Instruction, instruction } from './instruction.ts';
import type { Expr, FloatName, Precision, Stmt } from './ir.ts';

const address = op('i64.add', rs1, imm);
const CANONICAL_NAN = 0x7fc00000n;

/** A binary32 in a 64-bit register: upper bits all ones. */
const box = (bits: Expr): Expr => op('i64.or', bits, int(0xffffffff00000000n));
/** The low word where it is boxed properly, else the canonical NaN. */
const unbox = (bits: Expr): Expr =>
  select(
    op('i64.ge_u', bits, int(0xffffffff00000000n)),
    op('i64.and', bits, int(0xffffffffn)),
    int(CANONICAL_NAN),
  );

interface FormatOf {
  readonly extension: Extension;
  readonly precision: Precision;
  /** The two format bits of the encoding. */
  readonly code: string;
  /** Raw bits of an operand as a number of this format. */
  readonly bits: (register: Expr) => Expr;
  readonly result: (bits: Expr) => Expr;
  readonly sign: bigint;
}

const formats: readonly FormatOf[] = [
  {
    extension: 'F',
    precision: 's',
    code: '00',
    bits: unbox,
    result: box,
    sign: 0x80000000n,
  },
  {
    extension: 'D',
    precision: 'd',
    code: '01',
    bits: (register) => register,
    result: (bits) => bits,
    sign: 1n << 63n,
  },
];

/** Instructions that both formats have, in the order of the standard's tables. */
function forFormat(format: FormatOf): readonly Instruction[] {
  const { extension, precision: p, code, bits, result, sign } = format;
  const make = (name: string, pattern: string, syntax: string, ...semantics: Stmt[]): Instruction =>
    instruction(extension, name, pattern, syntax, [needsFloat, ...semantics]);
  const magnitude = int(sign - 1n);
  const signBit = int(p === 's' ? 0x80000000n : 1n << 63n);
  const signed = (name: string, funct3: string, newSign: Expr): Instruction =>
    make(
      `${name}.${p}`,
      `00100${code} rs2 rs1 ${funct3} rd 1010011`,
      'frd, frs1, frs2',
      setF(result(op('i64.or', op('i64.and', bits(fs1), magnitude), newSign))),
    );
  const two = (name: FloatName, funct5: string): Instruction =>
    make(
      `f${name}.${p}`,
      `${funct5}${code} rs2 rs1 rm rd 1010011`,
      'frd, frs1, frs2, rm',
      setF(float(name, p, fs1, fs2)),
    );
  const three = (name: FloatName, opcode: string): Instruction =>
    make(
      `f${name}.${p}`,
      `rs3 ${code} rs2 rs1 rm rd ${opcode}`,
      'frd, frs1, frs2, frs3, rm',
      setF(float(name, p, fs1, fs2, fs3)),
    );
  const ordered = (name: FloatName, funct3: string): Instruction =>
    make(
      `f${name}.${p}`,
      `00101${code} rs2 rs1 ${funct3} rd 1010011`,
      'frd, frs1, frs2',
      setF(float(name, p, fs1, fs2)),
    );
  const compare = (name: FloatName, funct3: string): Instruction =>
    make(
      `f${name}.${p}`,
      `10100${code} rs2 rs1 ${funct3} rd 1010011`,
      'rd, frs1, frs2',
      setX(float(name, p, fs1, fs2)),
    );
  const toInteger = (type: 'W' | 'WU' | 'L' | 'LU', rs2: string): Instruction =>
    make(
      `fcvt.${type.toLowerCase()}.${p}`,
      `11000${code} ${rs2} rs1 rm rd 1010011`,
      'rd, frs1, rm',
      setX(float(`to${type}`, p, fs1)),
    );
  const fromInteger = (type: 'W' | 'WU' | 'L' | 'LU', rs2: string): Instruction =>
    make(
      `fcvt.${p}.${type.toLowerCase()}`,
      `11010${code} ${rs2} rs1 rm rd 1010011`,
      'frd, rs1, rm',
      setF(float(`from${type}`, p, rs1)),
    );
  return [
    three('madd', '1000011'),
    three('msub', '1000111'),
    three('nmsub', '1001011'),
    three('nmadd', '1001111'),
    two('add', '00000'),
    two('sub', '00001'),
    two('mul', '00010'),
    two('div', '00011'),
    make(
      `fsqrt.${p}`,
      `01011${code} 00000 rs1 rm rd 1010011`,
      'frd, frs1, rm',
      setF(float('sqrt', p, fs1)),
    ),
    signed('fsgnj', '000', op('i64.and', bits(fs2), signBit)),
    signed('fsgnjn', '001', op('i64.and', op('i64.xor', bits(fs2), int(-1)), signBit)),
    signed('fsgnjx', '010', op('i64.and', op('i64.xor', bits(fs1), bits(fs2)), signBit)),
    ordered('min', '000'),
    ordered('max', '001'),
    compare('le', '000'),
    compare('lt', '001'),
    compare('eq', '010'),
    make(
      `fclass.${p}`,
      `11100${code} 00000 rs1 001 rd 1010011`,
      'rd, frs1',
      setX(float('class', p, fs1)),
    ),
    toInteger('W', '00000'),
    toInteger('WU', '00001'),
    toInteger('L', '00010'),
    toInteger('LU', '00011'),
    fromInteger('W', '00000'),
    fromInteger('WU', '00001'),
    fromInteger('L', '00010'),
    fromInteger('LU', '00011'),
  ];
}

const move = (extension: Extension, name: string, pattern: string, syntax: string, effect: Stmt) =>
  instruction(extension, name, `${pattern} 00000 rs1 000 rd 1010011`, syntax, [needsFloat, effect]);
const memory = (
  extension: Extension,
  name: string,
  pattern: string,
  syntax: string,
  effect: Stmt,
) => instruction(extension, name, pattern, syntax, [needsFloat, effect]);

/** The F and D extensions (Unprivileged spec, "F", "D"). */
export const rv64fd: readonly Instruction[] = [
  memory(
    'F',
    'flw',
    'imm12 rs1 010 rd 0000111',
    'frd, offset(rs1)',
    setF(box(load(4, false, address))),
  ),
  memory('D', 'fld', 'imm12 rs1 011 rd 0000111', 'frd, offset(rs1)', setF(load(8, false, address))),
  memory(
    'F',
    'fsw',
    'imm12hi rs2 rs1 010 imm12lo 0100111',
    'frs2, offset(rs1)',
    store(4, address, fs2),
  ),
  memory(
    'D',
    'fsd',
    'imm12hi rs2 rs1 011 imm12lo 0100111',
    'frs2, offset(rs1)',
    store(8, address, fs2),
  ),
  ...formats.flatMap(forFormat),
  move('F', 'fmv.x.w', '1110000', 'rd, frs1', setX(sext(word(fs1)))),
  move('F', 'fmv.w.x', '1111000', 'frd, rs1', setF(box(rs1))),
  move('D', 'fmv.x.d', '1110001', 'rd, frs1', setX(fs1)),
  move('D', 'fmv.d.x', '1111001', 'frd, rs1', setF(rs1)),
  instruction('D', 'fcvt.s.d', '0100000 00001 rs1 rm rd 1010011', 'frd, frs1, rm', [
    needsFloat,
    setF(float('convert', 's', fs1)),
  ]),
  instruction('D', 'fcvt.d.s', '0100001 00000 rs1 rm rd 1010011', 'frd, frs1, rm', [
    needsFloat,
    setF(float('convert', 'd', fs1)),
  ]),
];
