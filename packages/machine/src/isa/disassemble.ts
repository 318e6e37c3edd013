import { decodeImmediate } from './encode.ts';
import { expandCompressed } from './expand.ts';
import { type Instruction, immediateOf } from './instruction.ts';
import { fenceSet, fNames, roundingModes, xNames } from './names.ts';
import { findInstruction } from './table.ts';

export interface Disassembly {
  /** In GNU syntax without aliases; a compressed instruction as what it expands to. */
  readonly text: string;
  /** Bytes: 2 or 4. */
  readonly length: number;
}

/**
 * The instruction in `word` (its low half where it is compressed) at `address`, which targets of
 * branches are relative to. What encodes nothing is `.2byte` or `.4byte`.
 */
export function disassemble(word: number, address = 0n): Disassembly {
  const length = (word & 3) === 3 ? 4 : 2;
  const full = length === 4 ? word >>> 0 : expandCompressed(word & 0xffff);
  const instruction = findInstruction(full);
  if (instruction === undefined) {
    const raw = length === 4 ? word >>> 0 : word & 0xffff;
    return { text: `.${length}byte 0x${raw.toString(16)}`, length };
  }
  const operands = instruction.syntax
    .split(', ')
    .filter((operand) => operand !== '')
    .map((operand) => writeOperand(operand, { instruction, word: full, address }))
    .filter((operand) => operand !== '');
  const name = `${instruction.name}${ordering(instruction, full)}`;
  return { text: operands.length === 0 ? name : `${name} ${operands.join(',')}`, length };
}

interface Context {
  readonly instruction: Instruction;
  readonly word: number;
  readonly address: bigint;
}

const field = (word: number, low: number, width: number): number =>
  (word >>> low) & ((1 << width) - 1);

/** Suffix of atomics: acquire, release. */
function ordering({ fields }: Instruction, word: number): string {
  if (!fields.has('aq')) return '';
  return ['', '.rl', '.aq', '.aqrl'][field(word, 25, 2)]!;
}

function writeOperand(operand: string, { instruction, word, address }: Context): string {
  const kind = immediateOf(instruction);
  const immediate = kind === undefined ? 0 : decodeImmediate(kind, word);
  switch (operand) {
    case 'rd':
      return xNames[field(word, 7, 5)]!;
    case 'rs1':
      return xNames[field(word, 15, 5)]!;
    case 'rs2':
      return xNames[field(word, 20, 5)]!;
    case 'frd':
      return fNames[field(word, 7, 5)]!;
    case 'frs1':
      return fNames[field(word, 15, 5)]!;
    case 'frs2':
      return fNames[field(word, 20, 5)]!;
    case 'frs3':
      return fNames[field(word, 27, 5)]!;
    case '(rs1)':
      return `(${xNames[field(word, 15, 5)]!})`;
    case 'offset(rs1)':
      return `${immediate}(${xNames[field(word, 15, 5)]!})`;
    case 'imm':
      return kind === 'U' ? `0x${(immediate >>> 12).toString(16)}` : `${immediate}`;
    case 'target':
      return `0x${BigInt.asUintN(64, address + BigInt(immediate)).toString(16)}`;
    case 'csr':
      return `0x${field(word, 20, 12).toString(16)}`;
    case 'rm': {
      const mode = field(word, 12, 3);
      return mode === 7 ? '' : roundingModes[mode]!;
    }
    case 'pred':
      return fenceSet(field(word, 24, 4));
    case 'succ':
      return fenceSet(field(word, 20, 4));
    default:
      throw new Error(`Unknown operand ${operand} of ${instruction.name}`);
  }
}
