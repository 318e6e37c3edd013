import { encodeImmediate } from '../../src/isa/encode.ts';
import { type Instruction, immediateOf } from '../../src/isa/instruction.ts';
import { instructions } from '../../src/isa/table.ts';

/** Values of an instruction's fields; what is absent is 0. */
export interface Fields {
  readonly rd?: number;
  readonly rs1?: number;
  readonly rs2?: number;
  readonly rs3?: number;
  readonly rm?: number;
  readonly csr?: number;
  readonly aq?: number;
  readonly rl?: number;
  readonly immediate?: number;
}

const byName = new Map(instructions.map((instruction) => [instruction.name, instruction]));

export function encode(instruction: Instruction | string, values: Fields): number {
  const found = typeof instruction === 'string' ? byName.get(instruction) : instruction;
  if (found === undefined) throw new Error(`no instruction named ${String(instruction)}`);
  const {
    rd = 0,
    rs1 = 0,
    rs2 = 0,
    rs3 = 0,
    rm = 0,
    csr = 0,
    aq = 0,
    rl = 0,
    immediate = 0,
  } = values;
  const kind = immediateOf(found);
  const has = (name: Parameters<typeof found.fields.has>[0]) => found.fields.has(name);
  const bits =
    (has('rd') ? rd << 7 : 0) |
    (has('rs1') ? rs1 << 15 : 0) |
    (has('rs2') ? rs2 << 20 : 0) |
    (has('rs3') ? rs3 << 27 : 0) |
    (has('rm') ? rm << 12 : 0) |
    (has('csr') ? csr << 20 : 0) |
    (has('aq') ? aq << 26 : 0) |
    (has('rl') ? rl << 25 : 0) |
    (kind === undefined ? 0 : encodeImmediate(kind, immediate));
  return (found.match | bits) >>> 0;
}

/** Collects instructions and labels; branches to labels are resolved at the end. */
export class Assembler {
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #fixups: { at: number; name: string; fields: Fields; label: string }[] = [];
  readonly #addresses: { at: number; rd: number; label: string }[] = [];
  readonly base: number;

  constructor(base: number) {
    this.base = base;
  }

  get address(): number {
    return this.base + this.#bytes.length;
  }

  label(name: string): void {
    this.#labels.set(name, this.address);
  }

  addressOf(label: string): number {
    const address = this.#labels.get(label);
    if (address === undefined) throw new Error(`no label named ${label}`);
    return address;
  }

  half(value: number): void {
    this.#bytes.push(value & 0xff, value >>> 8);
  }

  word(value: number): void {
    this.half(value & 0xffff);
    this.half(value >>> 16);
  }

  op(name: string, fields: Fields = {}): void {
    this.word(encode(name, fields));
  }

  /** A branch or jal whose immediate is the distance to a label. */
  to(label: string, name: string, fields: Fields = {}): void {
    this.#fixups.push({ at: this.#bytes.length, name, fields, label });
    this.word(0);
  }

  /** Loads the address of a label. */
  addressTo(rd: number, label: string): void {
    this.#addresses.push({ at: this.#bytes.length, rd, label });
    this.word(0);
    this.word(0);
  }

  /** Loads a constant of at most 32 bits, zero-extended. Always four instructions long. */
  constant(rd: number, value: number): void {
    this.op('lui', { rd, immediate: (value + 0x800) & 0xfffff000 });
    this.op('addiw', { rd, rs1: rd, immediate: value & 0xfff });
    this.op('slli', { rd, rs1: rd, immediate: 32 });
    this.op('srli', { rd, rs1: rd, immediate: 32 });
  }

  finish(): Uint8Array {
    const out = Uint8Array.from(this.#bytes);
    const view = new DataView(out.buffer);
    for (const { at, name, fields, label } of this.#fixups) {
      const immediate = this.addressOf(label) - (this.base + at);
      view.setUint32(at, encode(name, { ...fields, immediate }), true);
    }
    for (const { at, rd, label } of this.#addresses) {
      const distance = this.addressOf(label) - (this.base + at);
      const high = (distance + 0x800) & 0xfffff000;
      view.setUint32(at, encode('auipc', { rd, immediate: high }), true);
      view.setUint32(at + 4, encode('addi', { rd, rs1: rd, immediate: distance - high }), true);
    }
    return out;
  }
}
