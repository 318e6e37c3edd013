import { imm, rs1, system } from './build.ts';
import { type Instruction, instruction } from './instruction.ts';
import type { CsrAction, Expr } from './ir.ts';

const csr = (name: string, funct3: string, action: CsrAction, source: Expr): Instruction => {
  const [field, syntax] = source === imm ? ['zimm', 'rd, csr, imm'] : ['rs1', 'rd, csr, rs1'];
  return instruction('Zicsr', name, `csr ${field} ${funct3} rd 1110011`, syntax!, [
    { kind: 'csr', action, source },
  ]);
};

/** Zicsr, Zifencei, and the Privileged spec's instructions. */
export const systemInstructions: readonly Instruction[] = [
  csr('csrrw', '001', 'write', rs1),
  csr('csrrs', '010', 'set', rs1),
  csr('csrrc', '011', 'clear', rs1),
  csr('csrrwi', '101', 'write', imm),
  csr('csrrsi', '110', 'set', imm),
  csr('csrrci', '111', 'clear', imm),
  instruction('Zifencei', 'fence.i', 'imm12 rs1 001 rd 0001111', '', [system('fence.i')]),
  instruction('Privileged', 'sret', '000100000010 00000 000 00000 1110011', '', [system('sret')]),
  instruction('Privileged', 'mret', '001100000010 00000 000 00000 1110011', '', [system('mret')]),
  instruction('Privileged', 'wfi', '000100000101 00000 000 00000 1110011', '', [system('wfi')]),
  instruction('Privileged', 'sfence.vma', '0001001 rs2 rs1 000 00000 1110011', 'rs1, rs2', [
    system('sfence.vma'),
  ]),
];
