import {
  block,
  br,
  brIf,
  type Code,
  call,
  type FunctionRef,
  get,
  type Label,
  type Local,
  label,
  loop,
  memoryCopy,
  memoryFill,
  op,
  ret,
  set,
  store,
} from '../code.ts';
import type { FunctionScope } from '../module.ts';
import type { Operator, ValueType } from '../opcodes.ts';
import { address, binary, type Expression, expression, typed, units } from './expressions.ts';
import type { Reader } from './tokens.ts';

/** A function as far as its first line says; its body is from `body` on. */
export interface Head {
  readonly name: string;
  readonly params: readonly { readonly name: string; readonly type: ValueType }[];
  readonly result: ValueType | undefined;
  /** Where it is called its body stands in place of the call. */
  readonly inlined: boolean;
  readonly exported: boolean;
  readonly body: number;
  ref: FunctionRef | undefined;
}

/** What the functions of a kernel know of each other. */
export interface Program {
  readonly heads: ReadonlyMap<string, Head>;
  readonly constants: ReadonlyMap<string, number>;
  readonly reader: (position: number) => Reader;
}

interface Loop {
  readonly again: Label;
  readonly exit: Label;
}

const oneArgument = ['clz', 'ctz', 'popcnt'];

/** Compiles the body of one function, and those that stand in it. */
export class FunctionCompiler {
  readonly constants: ReadonlyMap<string, number>;
  readonly #program: Program;
  readonly #scope: FunctionScope;
  readonly #result: ValueType | undefined;
  /** Where `return` leads from a body that stands in another's, and the result for there. */
  readonly #returnTo: { readonly end: Label; readonly value: Local | undefined } | undefined;
  readonly #locals = new Map<string, Local>();
  readonly #loops: Loop[] = [];

  constructor(
    program: Program,
    scope: FunctionScope,
    head: Head,
    params: readonly Local[],
    returnTo?: { readonly end: Label; readonly value: Local | undefined },
  ) {
    this.constants = program.constants;
    this.#program = program;
    this.#scope = scope;
    this.#result = head.result;
    this.#returnTo = returnTo;
    for (const [index, { name }] of head.params.entries()) this.#locals.set(name, params[index]!);
  }

  local(reader: Reader, name: string): Local {
    return this.#locals.get(name) ?? reader.fail(`${name} is not known`);
  }

  /** `{ ... }` */
  body(reader: Reader): Code {
    const code: Code[] = [];
    reader.expect('{');
    while (!reader.accept('}')) code.push(this.#statement(reader));
    return code;
  }

  #statement(reader: Reader): Code {
    const token = reader.next;
    if (token.text === '{') return this.body(reader);
    if (reader.accept('if')) return this.#if(reader);
    if (reader.accept('while')) return this.#while(reader);
    let code: Code;
    if (reader.accept('let')) code = this.#let(reader);
    else if (reader.accept('break')) code = br(this.#innermost(reader).exit);
    else if (reader.accept('continue')) code = br(this.#innermost(reader).again);
    else if (reader.accept('return')) code = this.#return(reader);
    else code = this.#assignment(reader);
    reader.expect(';');
    return code;
  }

  #innermost(reader: Reader): Loop {
    return this.#loops.at(-1) ?? reader.fail('no loop is around');
  }

  #if(reader: Reader): Code {
    const otherwise = label('else');
    const end = label('end');
    const skip = unless(this.#condition(reader), otherwise);
    const then = this.#statement(reader);
    if (!reader.accept('else')) return block(otherwise, skip, then);
    return block(end, block(otherwise, skip, then, br(end)), this.#statement(reader));
  }

  #while(reader: Reader): Code {
    const labels = { again: label('again'), exit: label('exit') };
    const leave = unless(this.#condition(reader), labels.exit);
    this.#loops.push(labels);
    const body = this.#statement(reader);
    this.#loops.pop();
    return block(labels.exit, loop(labels.again, leave, body, br(labels.again)));
  }

  #condition(reader: Reader): Expression {
    reader.expect('(');
    const value = expression(reader, this);
    reader.expect(')');
    return value;
  }

  #let(reader: Reader): Code {
    const name = reader.word();
    const stated = reader.accept(':') ? (reader.word() as ValueType) : undefined;
    reader.expect('=');
    const value = expression(reader, this);
    const type = stated ?? value.type ?? reader.fail('nothing is assigned');
    // A block of its own is not given to names: one that is declared again is the same local.
    const known = this.#locals.get(name);
    const local = known?.type === type ? known : this.#scope.local(type);
    this.#locals.set(name, local);
    return set(local, typed(reader, value, type));
  }

  #return(reader: Reader): Code {
    const value =
      this.#result === undefined
        ? undefined
        : typed(reader, expression(reader, this), this.#result);
    if (this.#returnTo === undefined) return value === undefined ? ret() : ret(value);
    const { end, value: local } = this.#returnTo;
    return value === undefined || local === undefined ? br(end) : [set(local, value), br(end)];
  }

  #assignment(reader: Reader): Code {
    const name = reader.word();
    if (reader.next.text === '(') {
      const { code, type } = this.call(reader, name);
      return type === undefined ? code : op('drop', code);
    }
    if (reader.next.text === '[' && name in units) {
      const { base, offset } = address(reader, this);
      reader.expect('=');
      const value = typed(reader, expression(reader, this), name === 'i64' ? 'i64' : 'i32');
      return store(units[name]!.store, base, value, offset);
    }
    const local = this.local(reader, name);
    const sign = reader.take().text;
    let value = expression(reader, this);
    if (sign !== '=') {
      if (!sign.endsWith('=')) reader.fail(`${sign} assigns nothing`);
      value = binary(reader, sign.slice(0, -1), { code: get(local), type: local.type }, value);
    }
    return set(local, typed(reader, value, local.type));
  }

  /** A call, its name already read. */
  call(reader: Reader, name: string): Expression {
    const args = this.#arguments(reader);
    const head = this.#program.heads.get(name);
    if (head === undefined) return this.#builtIn(reader, name, args);
    if (args.length !== head.params.length) reader.fail(`${name} has other parameters`);
    const values = args.map((value, index) => typed(reader, value, head.params[index]!.type));
    if (!head.inlined) return { code: call(head.ref!, ...values), type: head.result };
    const params = head.params.map(({ type }) => this.#scope.local(type));
    const end = label(name);
    const value = head.result && this.#scope.local(head.result);
    const inner = new FunctionCompiler(this.#program, this.#scope, head, params, { end, value });
    const body = inner.body(this.#program.reader(head.body));
    const given = params.map((local, index) => set(local, values[index]!));
    const code = [...given, block(end, body)];
    return { code: value ? [...code, get(value)] : code, type: head.result };
  }

  #arguments(reader: Reader): Expression[] {
    const args: Expression[] = [];
    reader.expect('(');
    while (!reader.accept(')')) {
      if (args.length > 0) reader.expect(',');
      args.push(expression(reader, this));
    }
    return args;
  }

  #builtIn(reader: Reader, name: string, args: readonly Expression[]): Expression {
    const [a, b, c] = args;
    const integer = (value: Expression | undefined): Code =>
      value === undefined ? reader.fail(`${name} has more arguments`) : typed(reader, value, 'i32');
    if (oneArgument.includes(name) && a?.type !== undefined) {
      return { code: op(`${a.type}.${name}` as Operator, a.code), type: a.type };
    }
    switch (name) {
      case 'below':
        return { code: op('i32.lt_u', integer(a), integer(b)), type: 'i32' };
      case 'select':
        return { code: op('select', integer(b), integer(c), integer(a)), type: 'i32' };
      case 'wrap':
        return { code: op('i32.wrap_i64', typed(reader, a!, 'i64')), type: 'i32' };
      case 'extend':
        return { code: op('i64.extend_i32_u', integer(a)), type: 'i64' };
      case 'copy':
        return { code: memoryCopy(integer(a), integer(b), integer(c)), type: undefined };
      case 'set':
        return { code: memoryFill(integer(a), integer(b), integer(c)), type: undefined };
      case 'copy16':
        return { code: [integer(a), integer(b), VECTOR_LOAD, VECTOR_STORE], type: undefined };
      default:
        return reader.fail(`${name} is no function`);
    }
  }
}

/** v128.load and v128.store, unaligned. */
const VECTOR_LOAD: Code = [0xfd, 0, 0, 0];
const VECTOR_STORE: Code = [0xfd, 11, 0, 0];

/** Jumps where a condition does not hold. */
function unless({ code, type, both, either }: Expression, to: Label): Code {
  if (both) return [unless(both[0], to), unless(both[1], to)];
  if (either) {
    const holds = label('holds');
    return block(holds, whenever(either[0], holds), unless(either[1], to));
  }
  return brIf(op(type === 'i64' ? 'i64.eqz' : 'i32.eqz', code), to);
}

/** Jumps where a condition holds. */
function whenever({ code, type, both, either }: Expression, to: Label): Code {
  if (either) return [whenever(either[0], to), whenever(either[1], to)];
  if (both) {
    const fails = label('fails');
    return block(fails, unless(both[0], fails), whenever(both[1], to));
  }
  return brIf(type === 'i64' ? op('i32.eqz', op('i64.eqz', code)) : code, to);
}
