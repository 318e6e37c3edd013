import { memoryOpcodes, opcodes } from '@anole/bytes/wasm';

const names = new Map<number, string>(Object.entries(opcodes).map(([name, code]) => [code, name]));
const accesses = new Map<number, string>(
  Object.entries(memoryOpcodes).map(([name, code]) => [code, name]),
);

/** Operators of one operand; those of none are written out, all others have two. */
const unary =
  /eqz|clz|ctz|popcnt|wrap|extend|trunc|convert|reinterpret|promote|demote|abs|neg|sqrt/;

/**
 * The body of a module's function as text to be read: a line for each statement, with the values that
 * it works on folded into it. Locals are l0, l1, …; labels count from the outermost block.
 *
 * @param index among the functions that the module defines
 */
export function printFunction(module: Uint8Array, index: number): string {
  const reader = new Reader(module);
  reader.at = 8;
  while (reader.byte() !== 10) {
    const size = reader.unsigned();
    reader.at += size;
  }
  reader.unsigned();
  const count = reader.unsigned();
  if (index >= count) throw new Error(`Only ${count} functions`);
  for (let before = 0; before < index; before++) {
    const size = reader.unsigned();
    reader.at += size;
  }
  reader.unsigned();
  for (let groups = reader.unsigned(); groups > 0; groups--) {
    reader.unsigned();
    reader.byte();
  }
  return new Printer(reader).print();
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const value = this.#bytes[this.at++];
    if (value === undefined) throw new Error('The module ends too early');
    return value;
  }

  unsigned(): number {
    return Number(BigInt.asUintN(32, this.signed(false)));
  }

  signed(extends_ = true): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if ((byte & 0x80) !== 0) continue;
      return extends_ ? BigInt.asIntN(Number(shift) + 7, value) : value;
    }
  }
}

interface Open {
  readonly label: string;
  /** Where the value of an `if` goes. */
  readonly result: string | undefined;
}

class Printer {
  readonly #reader: Reader;
  readonly #lines: string[] = [];
  readonly #stack: string[] = [];
  readonly #open: Open[] = [];
  #results = 0;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  print(): string {
    while (this.#instruction(this.#reader.byte()));
    for (const value of this.#stack.splice(0)) this.#line(`result ${value}`);
    return this.#lines.join('\n');
  }

  #line(text: string): void {
    this.#lines.push('  '.repeat(this.#open.length) + text);
  }

  #pop(): string {
    const value = this.#stack.pop();
    if (value === undefined) throw new Error('The stack is empty');
    return value;
  }

  /** False at the end of the function. */
  #instruction(code: number): boolean {
    if (code >= 0x02 && code <= 0x04) this.#begin(code);
    else if (code === 0x05) this.#else();
    else if (code === 0x0b) return this.#end();
    else if (code >= 0x0c && code <= 0x13 && code !== 0x0f) this.#transfer(code);
    else if (code >= 0x20 && code <= 0x22) this.#local(code);
    else if (code === 0x41 || code === 0x42) this.#stack.push(String(this.#reader.signed()));
    else if (accesses.has(code)) this.#access(accesses.get(code)!);
    else this.#operator(names.get(code) ?? `0x${code.toString(16)}`);
    return true;
  }

  #begin(code: number): void {
    const hasResult = this.#reader.byte() !== 0x40;
    const result = hasResult ? `v${this.#results++}` : undefined;
    const label = `L${this.#open.length}`;
    const head =
      code === 0x04 ? `if ${this.#pop()}` : code === 0x03 ? `loop ${label}` : `block ${label}`;
    this.#line(result === undefined ? head : `${result} = ${head}`);
    this.#open.push({ label, result });
  }

  #leaveValue(): void {
    const { result } = this.#open.at(-1)!;
    if (result !== undefined) this.#line(`${result} = ${this.#pop()}`);
  }

  #else(): void {
    this.#leaveValue();
    const open = this.#open.pop()!;
    this.#line('else');
    this.#open.push(open);
  }

  #end(): boolean {
    if (this.#open.length === 0) return false;
    this.#leaveValue();
    const { result } = this.#open.pop()!;
    if (result !== undefined) this.#stack.push(result);
    return true;
  }

  #label(): string {
    return this.#open.at(-1 - this.#reader.unsigned())?.label ?? 'end';
  }

  #transfer(code: number): void {
    if (code === 0x0c) this.#line(`br ${this.#label()}`);
    else if (code === 0x0d) {
      const label = this.#label();
      this.#line(`br ${label} if ${this.#pop()}`);
    } else if (code === 0x12) {
      const callee = this.#reader.unsigned();
      this.#line(`return f${callee}(${this.#stack.splice(-2).join(', ')})`);
    } else throw new Error(`No text for 0x${code.toString(16)}`);
  }

  #local(code: number): void {
    const local = `l${this.#reader.unsigned()}`;
    if (code === 0x20) this.#stack.push(local);
    else if (code === 0x21) this.#line(`${local} = ${this.#pop()}`);
    else this.#stack.push(`(${local} = ${this.#pop()})`);
  }

  #access(name: string): void {
    this.#reader.unsigned();
    const offset = this.#reader.unsigned();
    const value = name.includes('store') ? this.#pop() : undefined;
    const address = this.#pop();
    const place = address === '0' ? `${offset}` : offset === 0 ? address : `${address} + ${offset}`;
    if (value === undefined) this.#stack.push(`${name}[${place}]`);
    else this.#line(`${name}[${place}] = ${value}`);
  }

  #operator(name: string): void {
    if (name === 'drop') this.#line(`drop ${this.#pop()}`);
    else if (name === 'return') this.#line(`return ${this.#stack.splice(0).join(', ')}`);
    else {
      const count = name === 'select' ? 3 : unary.test(name) ? 1 : 2;
      this.#stack.push(`${name}(${this.#stack.splice(-count).join(', ')})`);
    }
  }
}
