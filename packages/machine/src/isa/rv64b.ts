import { imm, int, not, op, rs1, rs2, select, setX, word, wordwise, zext } from './build.ts';
import { type Extension, type Instruction, instruction } from './instruction.ts';
import type { Expr } from './ir.ts';

const binary = (
  extension: Extension,
  name: string,
  [funct7, funct3, opcode]: readonly [string, string, string],
  value: Expr,
): Instruction =>
  instruction(extension, name, `${funct7} rs2 rs1 ${funct3} rd ${opcode}`, 'rd, rs1, rs2', [
    setX(value),
  ]);
const unary = (name: string, code: string, opcode: string, funct3: string, value: Expr) =>
  instruction('Zbb', name, `${code} rs1 ${funct3} rd ${opcode}`, 'rd, rs1', [setX(value)]);
const shiftImmediate = (
  extension: Extension,
  name: string,
  [funct6, funct3]: readonly [string, string],
  value: Expr,
): Instruction =>
  instruction(extension, name, `${funct6} shamtd rs1 ${funct3} rd 0010011`, 'rd, rs1, imm', [
    setX(value),
  ]);

const OP = '0110011';
const OP_32 = '0111011';
const OP_IMM = '0010011';
const OP_IMM_32 = '0011011';

const scaled = (shift: number, value: Expr): Expr =>
  op('i64.add', rs2, op('i64.shl', value, int(shift)));
const low = zext(word(rs1));

/** Zba: addresses of array elements. */
export const zba: readonly Instruction[] = [
  binary('Zba', 'sh1add', ['0010000', '010', OP], scaled(1, rs1)),
  binary('Zba', 'sh2add', ['0010000', '100', OP], scaled(2, rs1)),
  binary('Zba', 'sh3add', ['0010000', '110', OP], scaled(3, rs1)),
  binary('Zba', 'add.uw', ['0000100', '000', OP_32], op('i64.add', rs2, low)),
  binary('Zba', 'sh1add.uw', ['0010000', '010', OP_32], scaled(1, low)),
  binary('Zba', 'sh2add.uw', ['0010000', '100', OP_32], scaled(2, low)),
  binary('Zba', 'sh3add.uw', ['0010000', '110', OP_32], scaled(3, low)),
  instruction('Zba', 'slli.uw', '000010 shamtd rs1 001 rd 0011011', 'rd, rs1, imm', [
    setX(op('i64.shl', low, imm)),
  ]),
];

/** 0x80 in each byte that is not zero, by adding 0x7f to its low seven bits. */
const nonZeroBytes = op(
  'i64.and',
  op(
    'i64.or',
    rs1,
    op('i64.add', op('i64.and', rs1, int(0x7f7f7f7f7f7f7f7fn)), int(0x7f7f7f7f7f7f7f7fn)),
  ),
  int(0x8080808080808080n),
);
/** Each byte 0x80 or 0 to 0xff or 0: (v >> 7) × 255. */
const spread = op('i64.mul', op('i64.shr_u', nonZeroBytes, int(7)), int(0xff));

/** Bytes reversed: neighbours, then pairs, then halves. */
function byteReverse(value: Expr): Expr {
  const swap = (of: Expr, mask: bigint, by: number): Expr =>
    op(
      'i64.or',
      op('i64.shl', op('i64.and', of, int(mask)), int(by)),
      op('i64.and', op('i64.shr_u', of, int(by)), int(mask)),
    );
  return op(
    'i64.rotl',
    swap(swap(value, 0x00ff00ff00ff00ffn, 8), 0x0000ffff0000ffffn, 16),
    int(32),
  );
}

const pick = (compare: 'i64.lt_s' | 'i64.gt_s' | 'i64.lt_u' | 'i64.gt_u'): Expr =>
  select(op(compare, rs1, rs2), rs1, rs2);

/** Zbb: basic bit manipulation. */
export const zbb: readonly Instruction[] = [
  binary('Zbb', 'andn', ['0100000', '111', OP], op('i64.and', rs1, not(rs2))),
  binary('Zbb', 'orn', ['0100000', '110', OP], op('i64.or', rs1, not(rs2))),
  binary('Zbb', 'xnor', ['0100000', '100', OP], not(op('i64.xor', rs1, rs2))),
  binary('Zbb', 'max', ['0000101', '110', OP], pick('i64.gt_s')),
  binary('Zbb', 'maxu', ['0000101', '111', OP], pick('i64.gt_u')),
  binary('Zbb', 'min', ['0000101', '100', OP], pick('i64.lt_s')),
  binary('Zbb', 'minu', ['0000101', '101', OP], pick('i64.lt_u')),
  binary('Zbb', 'rol', ['0110000', '001', OP], op('i64.rotl', rs1, rs2)),
  binary('Zbb', 'ror', ['0110000', '101', OP], op('i64.rotr', rs1, rs2)),
  binary('Zbb', 'rolw', ['0110000', '001', OP_32], wordwise('i32.rotl', rs1, rs2)),
  binary('Zbb', 'rorw', ['0110000', '101', OP_32], wordwise('i32.rotr', rs1, rs2)),
  shiftImmediate('Zbb', 'rori', ['011000', '101'], op('i64.rotr', rs1, imm)),
  instruction('Zbb', 'roriw', '0110000 shamtw rs1 101 rd 0011011', 'rd, rs1, imm', [
    setX(wordwise('i32.rotr', rs1, imm)),
  ]),
  unary('clz', '011000000000', OP_IMM, '001', op('i64.clz', rs1)),
  unary('ctz', '011000000001', OP_IMM, '001', op('i64.ctz', rs1)),
  unary('cpop', '011000000010', OP_IMM, '001', op('i64.popcnt', rs1)),
  unary('clzw', '011000000000', OP_IMM_32, '001', zext(op('i32.clz', word(rs1)))),
  unary('ctzw', '011000000001', OP_IMM_32, '001', zext(op('i32.ctz', word(rs1)))),
  unary('cpopw', '011000000010', OP_IMM_32, '001', zext(op('i32.popcnt', word(rs1)))),
  unary('sext.b', '011000000100', OP_IMM, '001', op('i64.extend8_s', rs1)),
  unary('sext.h', '011000000101', OP_IMM, '001', op('i64.extend16_s', rs1)),
  unary('zext.h', '000010000000', OP_32, '100', op('i64.and', rs1, int(0xffff))),
  unary('rev8', '011010111000', OP_IMM, '101', byteReverse(rs1)),
  unary('orc.b', '001010000111', OP_IMM, '101', spread),
];

const bit = (index: Expr): Expr => op('i64.shl', int(1), index);
const bitOperations = [
  ['bclr', '010010', '001', (index: Expr) => op('i64.and', rs1, not(bit(index)))],
  ['bset', '001010', '001', (index: Expr) => op('i64.or', rs1, bit(index))],
  ['binv', '011010', '001', (index: Expr) => op('i64.xor', rs1, bit(index))],
  ['bext', '010010', '101', (index: Expr) => op('i64.and', op('i64.shr_u', rs1, index), int(1))],
] as const;

/** Zbs: single bits. */
export const zbs: readonly Instruction[] = bitOperations.flatMap(
  ([name, funct6, funct3, value]) => [
    binary('Zbs', name, [`${funct6}0`, funct3, OP], value(rs2)),
    shiftImmediate('Zbs', `${name}i`, [funct6, funct3], value(imm)),
  ],
);
