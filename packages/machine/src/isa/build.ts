import type { Operator, ValueType } from '@anole/bytes/wasm';
import type {
  AtomicOperation,
  Expr,
  FloatName,
  Precision,
  Stmt,
  SystemAction,
  Temporary,
  Width,
} from './ir.ts';

/** Short names in which the tables are written. All integer values are i64 unless named …W. */

export const rs1: Expr = { kind: 'x', operand: 'rs1' };
export const rs2: Expr = { kind: 'x', operand: 'rs2' };
export const fs1: Expr = { kind: 'f', operand: 'rs1' };
export const fs2: Expr = { kind: 'f', operand: 'rs2' };
export const fs3: Expr = { kind: 'f', operand: 'rs3' };
export const imm: Expr = { kind: 'immediate' };
export const pc: Expr = { kind: 'pc' };
export const next: Expr = { kind: 'next' };

export const int = (value: bigint | number): Expr => ({
  kind: 'constant',
  type: 'i64',
  value: BigInt(value),
});
export const intW = (value: number): Expr => ({
  kind: 'constant',
  type: 'i32',
  value: BigInt(value),
});
export const op = (name: Operator, ...args: readonly Expr[]): Expr => ({ kind: 'op', name, args });
/** Low 32 bits, as i32. */
export const word = (value: Expr): Expr => op('i32.wrap_i64', value);
/** i32 to i64. */
export const sext = (value: Expr): Expr => op('i64.extend_i32_s', value);
export const zext = (value: Expr): Expr => op('i64.extend_i32_u', value);
/** An i32 operator on the low words, sign-extended: the …w instructions. */
export const wordwise = (name: Operator, a: Expr, b: Expr): Expr =>
  sext(op(name, word(a), word(b)));
export const not = (value: Expr): Expr => op('i64.xor', value, int(-1));

export const select = (condition: Expr, then: Expr, otherwise: Expr): Expr => ({
  kind: 'select',
  condition,
  then,
  otherwise,
});
export const choose = (type: ValueType, condition: Expr, then: Expr, otherwise: Expr): Expr => ({
  kind: 'choose',
  type,
  condition,
  then,
  otherwise,
});

/** Names a value: `...shared('i64', value, (v) => [setX(op('i64.mul', v, v))])`. */
export function shared(type: ValueType, value: Expr, use: (value: Expr) => Stmt[]): Stmt[] {
  const temporary: Temporary = { type };
  return [{ kind: 'let', temporary, value }, ...use({ kind: 'temporary', temporary })];
}

export const setX = (value: Expr): Stmt => ({ kind: 'setX', value });
export const setF = (value: Expr): Stmt => ({ kind: 'setF', value });
export const load = (width: Width, signed: boolean, address: Expr): Expr => ({
  kind: 'load',
  width,
  signed,
  address,
});
export const store = (width: Width, address: Expr, value: Expr): Stmt => ({
  kind: 'store',
  width,
  address,
  value,
});
export const jump = (target: Expr): Stmt => ({ kind: 'jump', target });
export const branch = (condition: Expr): Stmt => ({ kind: 'branch', condition });
export const system = (action: SystemAction): Stmt => ({ kind: 'system', action });
export const needsFloat: Stmt = { kind: 'needsFloat' };
export const atomic = (operation: AtomicOperation, width: 4 | 8): Expr => ({
  kind: 'atomic',
  operation,
  width,
  address: rs1,
  value: rs2,
});
export const float = (name: FloatName, precision: Precision, ...args: readonly Expr[]): Expr => ({
  kind: 'float',
  name,
  precision,
  args,
});
