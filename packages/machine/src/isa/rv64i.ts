import {
  branch,
  imm,
  int,
  jump,
  load,
  next,
  op,
  pc,
  rs1,
  rs2,
  setX,
  sext,
  shared,
  store,
  system,
  word,
  wordwise,
  zext,
} from './build.ts';
import { type Instruction, instruction } from './instruction.ts';
import type { Expr, Stmt, Width } from './ir.ts';

const address = op('i64.add', rs1, imm);

const register = (name: string, funct7: string, funct3: string, value: Expr): Instruction =>
  instruction('I', name, `${funct7} rs2 rs1 ${funct3} rd 0110011`, 'rd, rs1, rs2', [setX(value)]);
const registerW = (name: string, funct7: string, funct3: string, value: Expr): Instruction =>
  instruction('I', name, `${funct7} rs2 rs1 ${funct3} rd 0111011`, 'rd, rs1, rs2', [setX(value)]);
const immediate = (name: string, funct3: string, value: Expr): Instruction =>
  instruction('I', name, `imm12 rs1 ${funct3} rd 0010011`, 'rd, rs1, imm', [setX(value)]);
const shift = (name: string, funct6: string, funct3: string, value: Expr): Instruction =>
  instruction('I', name, `${funct6} shamtd rs1 ${funct3} rd 0010011`, 'rd, rs1, imm', [
    setX(value),
  ]);
const shiftW = (name: string, funct7: string, funct3: string, value: Expr): Instruction =>
  instruction('I', name, `${funct7} shamtw rs1 ${funct3} rd 0011011`, 'rd, rs1, imm', [
    setX(value),
  ]);
const loading = (name: string, funct3: string, width: Width, signed: boolean): Instruction =>
  instruction('I', name, `imm12 rs1 ${funct3} rd 0000011`, 'rd, offset(rs1)', [
    setX(load(width, signed, address)),
  ]);
const storing = (name: string, funct3: string, width: Width): Instruction =>
  instruction('I', name, `imm12hi rs2 rs1 ${funct3} imm12lo 0100011`, 'rs2, offset(rs1)', [
    store(width, address, rs2),
  ]);
const branching = (name: string, funct3: string, condition: Expr): Instruction =>
  instruction('I', name, `bimm12hi rs2 rs1 ${funct3} bimm12lo 1100011`, 'rs1, rs2, target', [
    branch(condition),
  ]);

/** jalr reads rs1 before it writes rd: they may be the same register. */
const jumpToRegister: Stmt[] = shared('i64', op('i64.and', address, int(-2)), (target) => [
  setX(next),
  jump(target),
]);

/** RV64I (Unprivileged spec, "RV32I", "RV64I"). */
export const rv64i: readonly Instruction[] = [
  instruction('I', 'lui', 'imm20 rd 0110111', 'rd, imm', [setX(imm)]),
  instruction('I', 'auipc', 'imm20 rd 0010111', 'rd, imm', [setX(op('i64.add', pc, imm))]),
  instruction('I', 'jal', 'jimm20 rd 1101111', 'rd, target', [
    setX(next),
    jump(op('i64.add', pc, imm)),
  ]),
  instruction('I', 'jalr', 'imm12 rs1 000 rd 1100111', 'rd, offset(rs1)', jumpToRegister),

  branching('beq', '000', op('i64.eq', rs1, rs2)),
  branching('bne', '001', op('i64.ne', rs1, rs2)),
  branching('blt', '100', op('i64.lt_s', rs1, rs2)),
  branching('bge', '101', op('i64.ge_s', rs1, rs2)),
  branching('bltu', '110', op('i64.lt_u', rs1, rs2)),
  branching('bgeu', '111', op('i64.ge_u', rs1, rs2)),

  loading('lb', '000', 1, true),
  loading('lh', '001', 2, true),
  loading('lw', '010', 4, true),
  loading('ld', '011', 8, true),
  loading('lbu', '100', 1, false),
  loading('lhu', '101', 2, false),
  loading('lwu', '110', 4, false),
  storing('sb', '000', 1),
  storing('sh', '001', 2),
  storing('sw', '010', 4),
  storing('sd', '011', 8),

  immediate('addi', '000', op('i64.add', rs1, imm)),
  immediate('slti', '010', zext(op('i64.lt_s', rs1, imm))),
  immediate('sltiu', '011', zext(op('i64.lt_u', rs1, imm))),
  immediate('xori', '100', op('i64.xor', rs1, imm)),
  immediate('ori', '110', op('i64.or', rs1, imm)),
  immediate('andi', '111', op('i64.and', rs1, imm)),
  shift('slli', '000000', '001', op('i64.shl', rs1, imm)),
  shift('srli', '000000', '101', op('i64.shr_u', rs1, imm)),
  shift('srai', '010000', '101', op('i64.shr_s', rs1, imm)),

  register('add', '0000000', '000', op('i64.add', rs1, rs2)),
  register('sub', '0100000', '000', op('i64.sub', rs1, rs2)),
  register('sll', '0000000', '001', op('i64.shl', rs1, rs2)),
  register('slt', '0000000', '010', zext(op('i64.lt_s', rs1, rs2))),
  register('sltu', '0000000', '011', zext(op('i64.lt_u', rs1, rs2))),
  register('xor', '0000000', '100', op('i64.xor', rs1, rs2)),
  register('srl', '0000000', '101', op('i64.shr_u', rs1, rs2)),
  register('sra', '0100000', '101', op('i64.shr_s', rs1, rs2)),
  register('or', '0000000', '110', op('i64.or', rs1, rs2)),
  register('and', '0000000', '111', op('i64.and', rs1, rs2)),

  instruction('I', 'addiw', 'imm12 rs1 000 rd 0011011', 'rd, rs1, imm', [
    setX(sext(word(op('i64.add', rs1, imm)))),
  ]),
  shiftW('slliw', '0000000', '001', wordwise('i32.shl', rs1, imm)),
  shiftW('srliw', '0000000', '101', wordwise('i32.shr_u', rs1, imm)),
  shiftW('sraiw', '0100000', '101', wordwise('i32.shr_s', rs1, imm)),
  registerW('addw', '0000000', '000', wordwise('i32.add', rs1, rs2)),
  registerW('subw', '0100000', '000', wordwise('i32.sub', rs1, rs2)),
  registerW('sllw', '0000000', '001', wordwise('i32.shl', rs1, rs2)),
  registerW('srlw', '0000000', '101', wordwise('i32.shr_u', rs1, rs2)),
  registerW('sraw', '0100000', '101', wordwise('i32.shr_s', rs1, rs2)),

  instruction('I', 'fence', 'fm pred succ rs1 000 rd 0001111', 'pred, succ', [system('fence')]),
  instruction('I', 'ecall', '000000000000 00000 000 00000 1110011', '', [system('ecall')]),
  instruction('I', 'ebreak', '000000000001 00000 000 00000 1110011', '', [system('ebreak')]),
];
