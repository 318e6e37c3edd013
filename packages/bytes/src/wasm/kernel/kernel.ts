import { op } from '../code.ts';
import { ModuleBuilder } from '../module.ts';
import type { ValueType } from '../opcodes.ts';
import { FunctionCompiler, type Head, type Program } from './functions.ts';
import { Reader, type Token, tokensOf } from './tokens.ts';

/**
 * Compiles a kernel: functions over integers and one memory, in a language like TypeScript, for inner
 * loops. Everything is an i32 unless it says `: i64`. What there is:
 *
 * - `const NAME = 5;`, `function f(a, b: i64): i32 { }`, `export function`, and `inline function`,
 *   whose body stands in place of each call;
 * - `let`, `=` and `+=` and the like, `if`, `while`, `break`, `continue`, `return`;
 * - memory as `u8[at]`, `u16[at]`, `i32[at]`, `i64[at]`, little-endian and unaligned;
 * - the operators of integers; comparisons are signed, `/` and `%` are not; `&&` and `||` stop early;
 * - `below(a, b)` (unsigned), `select(condition, a, b)`, `ctz`, `clz`, `popcnt`, `wrap` (to i32),
 *   `extend` (to i64), `copy(to, from, count)`, `copy16(to, from)`, `set(to, byte, count)`.
 *
 * Names are known to their whole function.
 *
 * @returns a module that imports `env.memory`
 * @throws SyntaxError which names the line
 * @example
 * const bytes = compileKernel(`
 *   export function sum(at, end): i32 {
 *     let total = 0;
 *     while (at < end) { total += u8[at]; at += 1; }
 *     return total;
 *   }`);
 */
export function compileKernel(text: string, memory: KernelMemory = {}): Uint8Array<ArrayBuffer> {
  const tokens = tokensOf(text);
  const { heads, constants } = outline(new Reader(text, tokens));
  const program: Program = {
    heads,
    constants,
    reader: (position) => new Reader(text, tokens, position),
  };
  const builder = new ModuleBuilder(1, false, memory.shared);
  const real = [...heads.values()].filter(({ inlined }) => !inlined);
  for (const head of real) {
    head.ref = builder.declare(signatureOf(head), head.exported ? head.name : undefined);
  }
  for (const head of real) {
    builder.define(head.ref!, signatureOf(head), (scope) => {
      const compiler = new FunctionCompiler(program, scope, head, scope.params);
      const body = compiler.body(program.reader(head.body));
      // Bodies end in a return; what would come behind it does not.
      return head.result === undefined ? body : [body, op('unreachable')];
    });
  }
  return builder.bytes();
}

export interface KernelMemory {
  /** Whether the memory is shared among threads. */
  readonly shared?: boolean;
}

const signatureOf = ({ params, result }: Head) => ({
  params: params.map(({ type }) => type),
  results: result === undefined ? [] : [result],
});

/** The functions' heads, and constants. */
function outline(reader: Reader) {
  const heads = new Map<string, Head>();
  const constants = new Map<string, number>();
  while (reader.next.kind !== 'end') {
    if (reader.accept('const')) {
      const name = reader.word();
      reader.expect('=');
      const negative = reader.accept('-');
      const value: Token = reader.take();
      if (value.kind !== 'number') reader.fail('a number is missing', value);
      constants.set(name, negative ? -Number(value.text) : Number(value.text));
      reader.expect(';');
    } else {
      const head = headOf(reader);
      heads.set(head.name, head);
      skipBody(reader);
    }
  }
  return { heads, constants };
}

function headOf(reader: Reader): Head {
  const exported = reader.accept('export');
  const inlined = reader.accept('inline');
  reader.expect('function');
  const name = reader.word();
  const params: { name: string; type: ValueType }[] = [];
  reader.expect('(');
  while (!reader.accept(')')) {
    if (params.length > 0) reader.expect(',');
    const param = reader.word();
    params.push({ name: param, type: reader.accept(':') ? typeName(reader) : 'i32' });
  }
  const result = reader.accept(':') ? typeName(reader) : undefined;
  return { name, params, result, inlined, exported, body: reader.position, ref: undefined };
}

function typeName(reader: Reader): ValueType {
  const name = reader.word();
  return name === 'i32' || name === 'i64' ? name : reader.fail(`${name} is no type`);
}

function skipBody(reader: Reader): void {
  reader.expect('{');
  for (let depth = 1; depth > 0; ) {
    const token = reader.take();
    if (token.kind === 'end') reader.fail('} is missing', token);
    if (token.text === '{') depth++;
    if (token.text === '}') depth--;
  }
}
