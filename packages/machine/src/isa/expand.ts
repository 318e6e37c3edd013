import { encodeImmediate } from './encode.ts';
import { type ImmediateKind, immediateOf } from './instruction.ts';
import { instructions } from './table.ts';

/**
 * Compressed instructions of RV64GC (Unprivileged spec, "C"; the listing "RVC Instruction Set")
 * as expansions to 32-bit ones. Each rule gives the halves it matches and the expansion.
 */

interface Operands {
  readonly rd?: number;
  readonly rs1?: number;
  readonly rs2?: number;
  readonly immediate?: number;
}

const known = new Map(
  instructions.map((each) => [each.name, { match: each.match, kind: immediateOf(each) }]),
);

function expansion(name: string, { rd = 0, rs1 = 0, rs2 = 0, immediate }: Operands): number {
  const { match, kind } = known.get(name)!;
  const value = immediate === undefined ? 0 : encodeImmediate(kind as ImmediateKind, immediate);
  return (match | (rd << 7) | (rs1 << 15) | (rs2 << 20) | value) >>> 0;
}

/** Bits `from` (high) to `to` (low) of a half, moved to start at bit `at`. */
const move = (half: number, from: number, to: number, at: number): number =>
  ((half >> to) & ((1 << (from - to + 1)) - 1)) << at;

const signExtend = (value: number, bits: number): number => (value << (32 - bits)) >> (32 - bits);

const SP = 2;
const RA = 1;

/** Register fields: the full ones, and those of three bits that name x8 to x15. */
const full = (half: number): number => move(half, 11, 7, 0);
const second = (half: number): number => move(half, 6, 2, 0);
const short = (half: number): number => 8 + move(half, 9, 7, 0);
const shortSecond = (half: number): number => 8 + move(half, 4, 2, 0);

const immediate6 = (half: number): number =>
  signExtend(move(half, 12, 12, 5) | move(half, 6, 2, 0), 6);
const shamt = (half: number): number => move(half, 12, 12, 5) | move(half, 6, 2, 0);
const wordOffset = (half: number): number =>
  move(half, 12, 10, 3) | move(half, 6, 6, 2) | move(half, 5, 5, 6);
const doubleOffset = (half: number): number => move(half, 12, 10, 3) | move(half, 6, 5, 6);

/** Expansion of a 16-bit instruction as an unsigned word, or 0 where it is illegal. */
export function expandCompressed(half: number): number {
  const rule = quadrants[half & 3]?.[(half >> 13) & 7];
  return rule?.(half) ?? 0;
}

type Rule = (half: number) => number;

const illegal: Rule = () => 0;

function loadRule(name: string, offset: (half: number) => number): Rule {
  return (half) =>
    expansion(name, { rd: shortSecond(half), rs1: short(half), immediate: offset(half) });
}

function storeRule(name: string, offset: (half: number) => number): Rule {
  return (half) =>
    expansion(name, { rs2: shortSecond(half), rs1: short(half), immediate: offset(half) });
}

function addi4spn(half: number): number {
  const immediate =
    move(half, 12, 11, 4) | move(half, 10, 7, 6) | move(half, 6, 6, 2) | move(half, 5, 5, 3);
  if (immediate === 0) return 0;
  return expansion('addi', { rd: shortSecond(half), rs1: SP, immediate });
}

const quadrant0: readonly Rule[] = [
  addi4spn,
  loadRule('fld', doubleOffset),
  loadRule('lw', wordOffset),
  loadRule('ld', doubleOffset),
  illegal,
  storeRule('fsd', doubleOffset),
  storeRule('sw', wordOffset),
  storeRule('sd', doubleOffset),
];

function addi16spOrLui(half: number): number {
  const rd = full(half);
  if (rd !== SP) {
    const immediate = immediate6(half) << 12;
    return immediate === 0 ? 0 : expansion('lui', { rd, immediate });
  }
  const immediate = signExtend(
    move(half, 12, 12, 9) |
      move(half, 6, 6, 4) |
      move(half, 5, 5, 6) |
      move(half, 4, 3, 7) |
      move(half, 2, 2, 5),
    10,
  );
  return immediate === 0 ? 0 : expansion('addi', { rd: SP, rs1: SP, immediate });
}

const registerNames = ['sub', 'xor', 'or', 'and', 'subw', 'addw'];

function arithmetic(half: number): number {
  const rd = short(half);
  switch ((half >> 10) & 3) {
    case 0:
      return expansion('srli', { rd, rs1: rd, immediate: shamt(half) });
    case 1:
      return expansion('srai', { rd, rs1: rd, immediate: shamt(half) });
    case 2:
      return expansion('andi', { rd, rs1: rd, immediate: immediate6(half) });
    default: {
      const name = registerNames[move(half, 12, 12, 2) | move(half, 6, 5, 0)];
      return name === undefined ? 0 : expansion(name, { rd, rs1: rd, rs2: shortSecond(half) });
    }
  }
}

function jumpTarget(half: number): number {
  const immediate =
    move(half, 12, 12, 11) |
    move(half, 11, 11, 4) |
    move(half, 10, 9, 8) |
    move(half, 8, 8, 10) |
    move(half, 7, 7, 6) |
    move(half, 6, 6, 7) |
    move(half, 5, 3, 1) |
    move(half, 2, 2, 5);
  return expansion('jal', { immediate: signExtend(immediate, 12) });
}

function branchRule(name: string): Rule {
  return (half) => {
    const immediate =
      move(half, 12, 12, 8) |
      move(half, 11, 10, 3) |
      move(half, 6, 5, 6) |
      move(half, 4, 3, 1) |
      move(half, 2, 2, 5);
    return expansion(name, { rs1: short(half), immediate: signExtend(immediate, 9) });
  };
}

const quadrant1: readonly Rule[] = [
  (half) => expansion('addi', { rd: full(half), rs1: full(half), immediate: immediate6(half) }),
  (half) =>
    full(half) === 0
      ? 0
      : expansion('addiw', { rd: full(half), rs1: full(half), immediate: immediate6(half) }),
  (half) => expansion('addi', { rd: full(half), immediate: immediate6(half) }),
  addi16spOrLui,
  arithmetic,
  jumpTarget,
  branchRule('beq'),
  branchRule('bne'),
];

function loadFromStack(name: string, scale: 2 | 3, mayBeZero: boolean): Rule {
  return (half) => {
    const rd = full(half);
    if (rd === 0 && !mayBeZero) return 0;
    const low = scale === 2 ? move(half, 6, 4, 2) : move(half, 6, 5, 3);
    const high = scale === 2 ? move(half, 3, 2, 6) : move(half, 4, 2, 6);
    return expansion(name, { rd, rs1: SP, immediate: move(half, 12, 12, 5) | low | high });
  };
}

function storeToStack(name: string, scale: 2 | 3): Rule {
  return (half) => {
    const immediate =
      scale === 2
        ? move(half, 12, 9, 2) | move(half, 8, 7, 6)
        : move(half, 12, 10, 3) | move(half, 9, 7, 6);
    return expansion(name, { rs1: SP, rs2: second(half), immediate });
  };
}

/** jr, mv, ebreak, jalr, add: told apart by bit 12 and which register fields are zero. */
function jumpOrMove(half: number): number {
  const rd = full(half);
  const rs2 = second(half);
  const high = (half >> 12) & 1;
  if (rs2 !== 0) return expansion('add', { rd, rs1: high === 1 ? rd : 0, rs2 });
  if (rd !== 0) return expansion('jalr', { rd: high === 1 ? RA : 0, rs1: rd });
  return high === 1 ? expansion('ebreak', {}) : 0;
}

const quadrant2: readonly Rule[] = [
  (half) => expansion('slli', { rd: full(half), rs1: full(half), immediate: shamt(half) }),
  loadFromStack('fld', 3, true),
  loadFromStack('lw', 2, false),
  loadFromStack('ld', 3, false),
  jumpOrMove,
  storeToStack('fsd', 3),
  storeToStack('sw', 2),
  storeToStack('sd', 3),
];

const quadrants: readonly (readonly Rule[])[] = [quadrant0, quadrant1, quadrant2];
