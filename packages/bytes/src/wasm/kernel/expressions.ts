import { type Code, choose, get, i32, i64, load, op } from '../code.ts';
import type { MemoryOperator, Operator, ValueType } from '../opcodes.ts';
import type { FunctionCompiler } from './functions.ts';
import type { Reader } from './tokens.ts';

/** A value, and what it is made of where something better can be done with that. */
export interface Expression {
  readonly code: Code;
  readonly type: ValueType | undefined;
  /** A number written out: becomes whatever type is wanted. */
  readonly literal?: number;
  /** A sum with a number written out: an address with an offset. */
  readonly sum?: { readonly base: Code; readonly offset: number };
  /** A condition of two: jumps need no value of it. */
  readonly both?: readonly [Expression, Expression];
  readonly either?: readonly [Expression, Expression];
}

/** Memory by the names of its units: `u8[at]`. */
export const units: Readonly<Record<string, { load: MemoryOperator; store: MemoryOperator }>> = {
  u8: { load: 'i32.load8_u', store: 'i32.store8' },
  u16: { load: 'i32.load16_u', store: 'i32.store16' },
  i32: { load: 'i32.load', store: 'i32.store' },
  i64: { load: 'i64.load', store: 'i64.store' },
};

const levels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['|'],
  ['^'],
  ['&'],
  ['==', '!='],
  ['<', '>', '<=', '>='],
  ['<<', '>>', '>>>'],
  ['+', '-'],
  ['*', '/', '%'],
];

const operators: Readonly<Record<string, string>> = {
  '|': 'or',
  '^': 'xor',
  '&': 'and',
  '==': 'eq',
  '!=': 'ne',
  '<': 'lt_s',
  '>': 'gt_s',
  '<=': 'le_s',
  '>=': 'ge_s',
  '<<': 'shl',
  '>>': 'shr_s',
  '>>>': 'shr_u',
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div_u',
  '%': 'rem_u',
};
const comparisons = new Set(['==', '!=', '<', '>', '<=', '>=']);

export function expression(reader: Reader, compiler: FunctionCompiler, level = 0): Expression {
  if (level === levels.length) return unary(reader, compiler);
  let left = expression(reader, compiler, level + 1);
  while (levels[level]!.includes(reader.next.text)) {
    const sign = reader.take().text;
    const right = expression(reader, compiler, level + 1);
    left = binary(reader, sign, left, right);
  }
  return left;
}

/** Of a type that is known, or of the literal's own, i32. */
export function typed(reader: Reader, value: Expression, type: ValueType): Code {
  if (value.literal !== undefined) return type === 'i64' ? i64(value.literal) : i32(value.literal);
  if (value.type !== type) reader.fail(`${type} is wanted, not ${value.type}`);
  return value.code;
}

export function binary(
  reader: Reader,
  sign: string,
  left: Expression,
  right: Expression,
): Expression {
  if (sign === '&&') {
    const code = choose('i32', left.code, right.code, i32(0));
    return { code, type: 'i32', both: [left, right] };
  }
  if (sign === '||') {
    const code = choose('i32', left.code, i32(1), right.code);
    return { code, type: 'i32', either: [left, right] };
  }
  const type = left.literal === undefined ? left.type : right.type;
  if (type === undefined) reader.fail(`${sign} has nothing before it`);
  const a = typed(reader, left, type);
  const b = typed(reader, right, type);
  const code = op(`${type}.${operators[sign]}` as Operator, a, b);
  const result = comparisons.has(sign) ? 'i32' : type;
  if (sign === '+' && type === 'i32' && right.literal !== undefined) {
    return { code, type: result, sum: { base: a, offset: right.literal } };
  }
  return { code, type: result };
}

function unary(reader: Reader, compiler: FunctionCompiler): Expression {
  if (reader.accept('-')) {
    const value = unary(reader, compiler);
    if (value.literal !== undefined) return literal(-value.literal);
    return binary(reader, '-', { ...literal(0), type: value.type }, value);
  }
  if (reader.accept('!')) {
    const { code, type } = unary(reader, compiler);
    return { code: op(type === 'i64' ? 'i64.eqz' : 'i32.eqz', code), type: 'i32' };
  }
  if (reader.accept('~')) return binary(reader, '^', unary(reader, compiler), literal(-1));
  if (reader.accept('(')) {
    const inner = expression(reader, compiler);
    reader.expect(')');
    return inner;
  }
  const token = reader.take();
  if (token.kind === 'number') return literal(Number(token.text));
  if (token.kind !== 'word') reader.fail('a value is missing', token);
  if (reader.next.text === '[' && token.text in units) {
    const { base, offset } = address(reader, compiler);
    const type = token.text === 'i64' ? 'i64' : 'i32';
    return { code: load(units[token.text]!.load, base, offset), type };
  }
  if (reader.next.text === '(') return compiler.call(reader, token.text);
  const constant = compiler.constants.get(token.text);
  if (constant !== undefined) return literal(constant);
  const local = compiler.local(reader, token.text);
  return { code: get(local), type: local.type };
}

const literal = (value: number): Expression => ({ code: i32(value), type: 'i32', literal: value });

/** `[ ... ]`: what is added to it at no cost is apart. */
export function address(reader: Reader, compiler: FunctionCompiler) {
  reader.expect('[');
  const value = expression(reader, compiler);
  reader.expect(']');
  if (value.sum !== undefined && value.sum.offset >= 0) return value.sum;
  return { base: typed(reader, value, 'i32'), offset: 0 };
}
