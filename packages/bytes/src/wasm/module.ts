import { assemble } from './assemble.ts';
import type { Code, FunctionRef, Local, TypeRef } from './code.ts';
import { signed, unsigned } from './leb128.ts';
import { type ValueType, valueTypes } from './opcodes.ts';

export interface Signature {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** Gives the body of a function its parameters and further locals. */
export class FunctionScope {
  readonly params: readonly Local[];
  readonly #locals: ValueType[] = [];

  constructor(params: readonly ValueType[]) {
    this.params = params.map((type, index) => ({ index, type }));
  }

  /** A new local, zero at entry. */
  local(type: ValueType): Local {
    this.#locals.push(type);
    return { index: this.params.length + this.#locals.length - 1, type };
  }

  get locals(): readonly ValueType[] {
    return this.#locals;
  }
}

interface Import {
  readonly name: string;
  readonly type: number;
}

interface Definition {
  readonly type: number;
  /** Size, locals, code. */
  body: readonly Uint8Array[];
}

/**
 * A WebAssembly module under construction: functions that import from module `env`, and one
 * imported memory, `env.memory`; where asked for, a table of functions, `env.table`, and a second
 * memory, `env.ram`, that threads share. Imports come before the first function.
 */
export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #typeBytes: number[][] = [];
  readonly #imports: Import[] = [];
  readonly #functions: Definition[] = [];
  readonly #exports: { name: string; index: number }[] = [];
  readonly #memoryPages: number;
  readonly #sharedRam: boolean;
  readonly #sharedMemory: boolean;
  #tableSize: number | undefined;
  #elements: { readonly offset: number; readonly functions: readonly FunctionRef[] } | undefined;

  /**
   * @param memoryPages least size of the imported memory, in pages of 64 KiB
   * @param sharedRam whether RAM is a second memory, instead of a part of the first
   * @param sharedMemory whether the first memory is declared as shared
   */
  constructor(memoryPages: number, sharedRam = false, sharedMemory = false) {
    this.#memoryPages = memoryPages;
    this.#sharedRam = sharedRam;
    this.#sharedMemory = sharedMemory;
  }

  importFunction(name: string, signature: Signature): FunctionRef {
    if (this.#functions.length > 0) throw new Error('Imports come before functions');
    this.#imports.push({ name, type: this.#type(signature) });
    return { index: this.#imports.length - 1 };
  }

  /** Imports `env.table`, of at least `size` functions. */
  importTable(size: number): void {
    this.#tableSize = size;
  }

  /** Puts functions into the table, from entry `offset` on, when the module is instantiated. */
  fillTable(offset: number, functions: readonly FunctionRef[]): void {
    this.#elements = { offset, functions };
  }

  typeOf(signature: Signature): TypeRef {
    return { type: this.#type(signature) };
  }

  /** A function to be given its body later: for calls among functions. */
  declare(signature: Signature, exportName?: string): FunctionRef {
    this.#functions.push({ type: this.#type(signature), body: [] });
    const index = this.#imports.length + this.#functions.length - 1;
    if (exportName !== undefined) this.#exports.push({ name: exportName, index });
    return { index };
  }

  define(ref: FunctionRef, signature: Signature, body: (scope: FunctionScope) => Code): void {
    const scope = new FunctionScope(signature.params);
    const code = assemble(body(scope), this.#sharedRam ? 1 : 0);
    const bytes = declaration(scope.locals);
    this.#functions[ref.index - this.#imports.length]!.body = [
      Uint8Array.from([...unsigned(bytes.length + code.length + 1), ...bytes]),
      code,
      END,
    ];
  }

  function(
    signature: Signature,
    body: (scope: FunctionScope) => Code,
    exportName?: string,
  ): FunctionRef {
    const ref = this.declare(signature, exportName);
    this.define(ref, signature, body);
    return ref;
  }

  /** The module in the binary format. */
  bytes(): Uint8Array<ArrayBuffer> {
    const functions = this.#functions.map(({ type }) => unsigned(type));
    const exports = this.#exports.map(({ name, index }) => [...text(name), 0, ...unsigned(index)]);
    const start = Uint8Array.from([
      ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, this.#typeBytes),
      ...section(2, this.#importEntries()),
      ...section(3, functions),
      ...section(7, exports),
      ...this.#elementSection(),
    ]);
    const bodies = this.#functions.flatMap(({ body }) => body);
    const count = unsigned(this.#functions.length);
    const length = bodies.reduce((sum, part) => sum + part.length, count.length);
    return join([start, Uint8Array.from([10, ...unsigned(length), ...count]), ...bodies]);
  }

  #importEntries(): number[][] {
    const functions = this.#imports.map(({ name, type }) => [
      ...text('env'),
      ...text(name),
      0,
      ...unsigned(type),
    ]);
    const least = unsigned(this.#memoryPages);
    const shared = [SHARED, ...least, ...unsigned(MAX_PAGES)];
    const limits = this.#sharedMemory ? shared : [0, ...least];
    const memories = [[...text('env'), ...text('memory'), 2, ...limits]];
    if (this.#sharedRam) memories.push([...text('env'), ...text('ram'), 2, ...shared]);
    const table = [...text('env'), ...text('table'), 1, 0x70, 0];
    return this.#tableSize === undefined
      ? [...functions, ...memories]
      : [...functions, ...memories, [...table, ...unsigned(this.#tableSize)]];
  }

  #elementSection(): number[] {
    if (this.#elements === undefined) return [];
    const { offset, functions } = this.#elements;
    const indexes = functions.flatMap(({ index }) => unsigned(index));
    const at = [0x41, ...signed(offset), 0x0b];
    return section(9, [[0, ...at, ...unsigned(functions.length), ...indexes]]);
  }

  #type({ params, results }: Signature): number {
    const key = `${params.join()}>${results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    const list = (types: readonly ValueType[]) => [
      types.length,
      ...types.map((t) => valueTypes[t]),
    ];
    this.#typeBytes.push([0x60, ...list(params), ...list(results)]);
    return this.#types.push(key) - 1;
  }
}

/** Declares locals: runs of one type. */
function declaration(locals: readonly ValueType[]): number[] {
  const runs: number[] = [];
  let count = 0;
  for (let at = 0; at < locals.length; count++) {
    const start = at;
    while (at < locals.length && locals[at] === locals[start]) at++;
    runs.push(...unsigned(at - start), valueTypes[locals[start]!]);
  }
  return [...unsigned(count), ...runs];
}

/** Limits of a memory that is shared, which has a greatest size. */
const SHARED = 3;
const MAX_PAGES = 0x1_0000;

const END = Uint8Array.of(0x0b);

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [...unsigned(bytes.length), ...bytes];
}

function section(id: number, entries: readonly (readonly number[])[]): number[] {
  const body = ([] as number[]).concat(unsigned(entries.length), ...entries);
  return [id, ...unsigned(body.length)].concat(body);
}
