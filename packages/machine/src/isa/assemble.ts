import { HartError } from '../hart/errors.ts';
import { encodeImmediate } from './encode.ts';
import { type ImmediateKind, type Instruction, immediateOf } from './instruction.ts';
import { fNames, roundingModes, xNames } from './names.ts';
import { instructions } from './table.ts';

/**
 * Assembles instructions from the table, one a line, in the syntax that {@link disassemble}
 * writes: no aliases, no directives but `.word VALUE`. `name:` defines a label, which branches and
 * `target` operands may use; `#` starts a comment.
 *
 * @param address of the first instruction, for targets given as numbers
 * @returns one word per instruction
 * @throws HartError `MACHINE_BAD_ASSEMBLY`
 */
export function assemble(source: string, address = 0n): Uint32Array<ArrayBuffer> {
  const labels = new Map<string, bigint>();
  const lines: string[] = [];
  for (const raw of source.split('\n')) {
    let line = raw.replace(/#.*/, '').trim();
    for (let colon = line.match(/^(\w+):/); colon !== null; colon = line.match(/^(\w+):/)) {
      labels.set(colon[1]!, address + BigInt(lines.length * 4));
      line = line.slice(colon[0].length).trim();
    }
    if (line !== '') lines.push(line);
  }
  return Uint32Array.from(lines, (line, index) =>
    assembleLine(line, { address: address + BigInt(index * 4), labels }),
  );
}

interface Place {
  readonly address: bigint;
  readonly labels: ReadonlyMap<string, bigint>;
}

const byName = new Map(instructions.map((each) => [each.name, each]));

function assembleLine(line: string, place: Place): number {
  const [, mnemonic, rest] = line.match(/^(\S+)\s*(.*)$/) as RegExpMatchArray;
  if (mnemonic === '.word') return Number(rest) >>> 0;
  const { instruction, bits } = findMnemonic(mnemonic!, line);
  const wanted = instruction.syntax.split(', ').filter((operand) => operand !== '');
  const given = rest!.split(/\s*,\s*/).filter((operand) => operand !== '');
  if (wanted.at(-1) === 'rm' && given.length === wanted.length - 1) given.push('dyn');
  if (given.length !== wanted.length) throw bad(line, `${wanted.length} operands expected`);
  const fields = wanted.map((operand, index) =>
    readOperand(operand, given[index]!, { instruction, line, place }),
  );
  return fields.reduce((word, value) => (word | value) >>> 0, (instruction.match | bits) >>> 0);
}

/** The instruction, and bits of a suffix for ordering. */
function findMnemonic(name: string, line: string): { instruction: Instruction; bits: number } {
  const suffix = name.match(/\.(aqrl|aq|rl)$/);
  const plain = suffix === null ? name : name.slice(0, suffix.index);
  const instruction = byName.get(plain);
  if (instruction === undefined) throw bad(line, `no instruction ${plain}`);
  const order = { aqrl: 3, aq: 2, rl: 1 }[suffix?.[1] ?? ''] ?? 0;
  return { instruction, bits: order << 25 };
}

interface Context {
  readonly instruction: Instruction;
  readonly line: string;
  readonly place: Place;
}

const registers: Readonly<Record<string, { names: readonly string[]; low: number }>> = {
  rd: { names: xNames, low: 7 },
  rs1: { names: xNames, low: 15 },
  rs2: { names: xNames, low: 20 },
  frd: { names: fNames, low: 7 },
  frs1: { names: fNames, low: 15 },
  frs2: { names: fNames, low: 20 },
  frs3: { names: fNames, low: 27 },
};

function readOperand(operand: string, text: string, context: Context): number {
  const register = registers[operand];
  if (register !== undefined) return readRegister(register, text, context);
  switch (operand) {
    case '(rs1)':
    case 'offset(rs1)': {
      const [, offset, base] = text.match(/^(.*)\((\w+)\)$/) ?? [];
      if (base === undefined) throw bad(context.line, 'an address is written offset(register)');
      const value = operand === '(rs1)' ? 0 : readImmediate(offset || '0', context);
      return (readRegister(registers['rs1']!, base, context) | value) >>> 0;
    }
    case 'imm':
    case 'target':
      return readImmediate(text, context);
    case 'csr':
      return (Number(text) << 20) >>> 0;
    case 'rm':
      return Math.max(0, roundingModes.indexOf(text)) << 12;
    case 'pred':
      return readFence(text) << 24;
    case 'succ':
      return readFence(text) << 20;
    default:
      throw bad(context.line, `operand ${operand} unknown`);
  }
}

function readRegister(
  { names, low }: { names: readonly string[]; low: number },
  text: string,
  { line }: Context,
): number {
  const numbered = text.match(/^[xf](\d+)$/);
  const number = names.includes(text) ? names.indexOf(text) : Number(numbered?.[1] ?? 32);
  if (number > 31) throw bad(line, `no register ${text}`);
  return (number << low) >>> 0;
}

/** Ranges of immediates: signed bits, and whether only even values exist. */
const ranges: Readonly<Record<ImmediateKind, { min: number; max: number; even?: boolean }>> = {
  I: { min: -2048, max: 2047 },
  S: { min: -2048, max: 2047 },
  B: { min: -4096, max: 4095, even: true },
  U: { min: 0, max: 0xfffff },
  J: { min: -0x100000, max: 0xfffff, even: true },
  shamt5: { min: 0, max: 31 },
  shamt6: { min: 0, max: 63 },
  zimm: { min: 0, max: 31 },
};

function readImmediate(text: string, { instruction, line, place }: Context): number {
  const kind = immediateOf(instruction)!;
  const label = place.labels.get(text);
  const relative = kind === 'B' || kind === 'J';
  let value = Number(text);
  if (label !== undefined) value = Number(label - place.address);
  else if (relative) value = Number(BigInt(text) - place.address);
  const { min, max, even } = ranges[kind];
  const fits = value >= min && value <= max && Number.isInteger(value);
  if (!fits || (even === true && value % 2 !== 0)) throw bad(line, `${text} does not fit`);
  return encodeImmediate(kind, kind === 'U' ? value << 12 : value);
}

function readFence(text: string): number {
  return [...'iorw'].reduce((bits, letter, i) => bits | (text.includes(letter) ? 8 >> i : 0), 0);
}

function bad(line: string, reason: string): HartError {
  return new HartError('MACHINE_BAD_ASSEMBLY', `Cannot assemble "${line}": ${reason}`, {
    details: { line },
  });
}
