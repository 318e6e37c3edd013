import { choose, int, intW, op, rs1, rs2, setX, sext, shared, word } from './build.ts';
import { type Instruction, instruction } from './instruction.ts';
import type { Expr, Stmt } from './ir.ts';

const multiply = (name: string, opcode: string, funct3: string, semantics: Stmt[]): Instruction =>
  instruction('M', name, `0000001 rs2 rs1 ${funct3} rd ${opcode}`, 'rd, rs1, rs2', semantics);

/**
 * High half of a 64 × 64 product: that of the unsigned product from 32-bit halves, then less the
 * other operand for each operand that is signed and negative.
 */
function highProduct(signedA: boolean, signedB: boolean): Stmt[] {
  const low = (value: Expr): Expr => op('i64.and', value, int(0xffffffffn));
  const high = (value: Expr): Expr => op('i64.shr_u', value, int(32));
  const mul = (a: Expr, b: Expr): Expr => op('i64.mul', a, b);
  const add = (a: Expr, b: Expr): Expr => op('i64.add', a, b);
  const turn = (signed: boolean, of: Expr, other: Expr): Expr =>
    signed ? op('i64.and', op('i64.shr_s', of, int(63)), other) : int(0);
  const correction = add(turn(signedA, rs1, rs2), turn(signedB, rs2, rs1));
  const carried = add(mul(high(rs1), low(rs2)), high(mul(low(rs1), low(rs2))));
  return shared('i64', carried, (middle) =>
    shared('i64', add(mul(low(rs1), high(rs2)), low(middle)), (other) => [
      setX(
        op('i64.sub', add(add(mul(high(rs1), high(rs2)), high(middle)), high(other)), correction),
      ),
    ]),
  );
}

/** Division never traps: by zero gives `byZero`, the one signed overflow gives `overflow`. */
const divide = (zero: Expr, byZero: Expr, result: Expr): Stmt[] => [
  setX(choose('i64', zero, byZero, result)),
];

const isZero = op('i64.eqz', rs2);
const isZeroW = op('i32.eqz', word(rs2));
/** -2^63 / -1 would trap in WebAssembly: negate instead, which gives what RISC-V wants. */
const quotient = choose(
  'i64',
  op('i64.eq', rs2, int(-1)),
  op('i64.sub', int(0), rs1),
  op('i64.div_s', rs1, rs2),
);
const quotientW = choose(
  'i32',
  op('i32.eq', word(rs2), intW(-1)),
  op('i32.sub', intW(0), word(rs1)),
  op('i32.div_s', word(rs1), word(rs2)),
);
const wordOf1 = sext(word(rs1));

/** The M extension (Unprivileged spec, "M"). */
export const rv64m: readonly Instruction[] = [
  multiply('mul', '0110011', '000', [setX(op('i64.mul', rs1, rs2))]),
  multiply('mulh', '0110011', '001', highProduct(true, true)),
  multiply('mulhsu', '0110011', '010', highProduct(true, false)),
  multiply('mulhu', '0110011', '011', highProduct(false, false)),
  multiply('div', '0110011', '100', divide(isZero, int(-1), quotient)),
  multiply('divu', '0110011', '101', divide(isZero, int(-1), op('i64.div_u', rs1, rs2))),
  multiply('rem', '0110011', '110', divide(isZero, rs1, op('i64.rem_s', rs1, rs2))),
  multiply('remu', '0110011', '111', divide(isZero, rs1, op('i64.rem_u', rs1, rs2))),
  multiply('mulw', '0111011', '000', [setX(sext(op('i32.mul', word(rs1), word(rs2))))]),
  multiply('divw', '0111011', '100', divide(isZeroW, int(-1), sext(quotientW))),
  multiply(
    'divuw',
    '0111011',
    '101',
    divide(isZeroW, int(-1), sext(op('i32.div_u', word(rs1), word(rs2)))),
  ),
  multiply(
    'remw',
    '0111011',
    '110',
    divide(isZeroW, wordOf1, sext(op('i32.rem_s', word(rs1), word(rs2)))),
  ),
  multiply(
    'remuw',
    '0111011',
    '111',
    divide(isZeroW, wordOf1, sext(op('i32.rem_u', word(rs1), word(rs2)))),
  ),
];
