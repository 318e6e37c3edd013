import type {
  Block,
  Branch,
  Code,
  Hole,
  Label,
  Piece,
  RamAccess,
  Template,
  TemplateHole,
} from './code.ts';
import { valueTypes } from './opcodes.ts';

/**
 * Writes a tree out as bytes, without the final `end`.
 *
 * @param ram index of the memory that RAM is in
 */
export function assemble(code: Code, ram = 0): Uint8Array<ArrayBuffer> {
  scratch.length = 0;
  new Writer(ram, scratch).write(code);
  return scratch.bytes();
}

/**
 * The same for code with holes, which may go to labels that it does not have: to be filled as often as
 * wanted.
 */
export function assembleTemplate(code: Code, ram = 0): Template {
  const out = new Out();
  const holes: TemplateHole[] = [];
  new Writer(ram, out, holes).write(code);
  return { bytes: out.bytes(), holes };
}

/** Bytes being written. */
class Out {
  buffer = new Uint8Array(1 << 14);
  length = 0;

  push(byte: number): void {
    if (this.length === this.buffer.length) this.#grow(this.length + 1);
    this.buffer[this.length++] = byte;
  }

  /** Of 32 bits. */
  unsigned(value: number): void {
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.push((rest & 0x7f) | 0x80);
    this.push(rest);
  }

  /** Of 32 bits. */
  signed(value: number): void {
    let rest = value | 0;
    for (; rest < -64 || rest > 63; rest >>= 7) this.push((rest & 0x7f) | 0x80);
    this.push(rest & 0x7f);
  }

  /** Copies bytes `from` to `to`, which are few. */
  copy(bytes: Uint8Array, from: number, to: number): void {
    if (this.length + to - from > this.buffer.length) this.#grow(this.length + to - from);
    const { buffer } = this;
    let { length } = this;
    for (let at = from; at < to; at++) buffer[length++] = bytes[at]!;
    this.length = length;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.buffer.slice(0, this.length);
  }

  #grow(least: number): void {
    const grown = new Uint8Array(Math.max(2 * this.length, least));
    grown.set(this.buffer);
    this.buffer = grown;
  }
}

/** For one function after the other: a buffer for each cost more than what was written there. */
const scratch = new Out();

const structured = { block: 0x02, loop: 0x03, if: 0x04 } as const;
/** In the alignment of an access: the index of a memory follows. */
const HAS_MEMORY = 0x40;

class Writer {
  readonly #ram: number;
  readonly #out: Out;
  /** Where holes go, while a template is written. */
  readonly #holes: TemplateHole[] | undefined;
  /** Labels of the blocks around, the innermost last. */
  readonly #labels: Label[] = [];

  constructor(ram: number, out: Out, holes?: TemplateHole[]) {
    this.#ram = ram;
    this.#out = out;
    this.#holes = holes;
  }

  write(code: Code): void {
    if (typeof code === 'number') this.#out.push(code);
    else if (isSequence(code)) {
      for (let at = 0; at < code.length; at++) {
        const part = code[at]!;
        if (typeof part === 'number') this.#out.push(part);
        else this.write(part);
      }
    } else this.#writeNode(code);
  }

  #writeNode(code: Exclude<Code, number | readonly Code[]>): void {
    if (code.kind === 'piece') this.#writePiece(code);
    else if (code.kind === 'ram') this.#writeRamAccess(code);
    else if (code.kind === 'hole') this.#writeHole(code);
    else if ('targets' in code) this.#writeBranch(code);
    else this.#writeBlock(code);
  }

  #writePiece({ template: { bytes, holes }, numbers, label }: Piece): void {
    let from = 0;
    for (const { at, what } of holes) {
      this.#out.copy(bytes, from, at);
      from = at;
      if (what.kind === 'label') this.#writeDepth(label ?? what.label, what.depth);
      else if (what.signed) this.#out.signed(numbers[what.number]!);
      else this.#out.unsigned(numbers[what.number]!);
    }
    this.#out.copy(bytes, from, bytes.length);
  }

  #writeHole(what: Hole): void {
    if (this.#holes === undefined) throw new Error('A hole outside of a template');
    this.#holes.push({ at: this.#out.length, what });
  }

  #writeRamAccess({ alignment, offset }: RamAccess): void {
    this.#out.push(this.#ram === 0 ? alignment : alignment | HAS_MEMORY);
    if (this.#ram !== 0) this.#out.push(this.#ram);
    this.#out.unsigned(offset);
  }

  #writeBlock(code: Block): void {
    code.label.depth = this.#labels.length;
    this.#labels.push(code.label);
    this.#out.push(structured[code.kind]);
    this.#out.push(code.result === undefined ? 0x40 : valueTypes[code.result]);
    this.write(code.body);
    if (code.otherwise !== undefined) {
      this.#out.push(0x05);
      this.write(code.otherwise);
    }
    this.#out.push(0x0b);
    this.#labels.pop();
  }

  #writeBranch(code: Branch): void {
    if (code.kind === 'br_table') {
      this.#out.push(0x0e);
      this.#out.unsigned(code.targets.length - 1);
    } else this.#out.push(code.kind === 'br' ? 0x0c : 0x0d);
    for (const target of code.targets) this.#writeDepth(target, 0);
  }

  /** @param within blocks that a template has around the branch */
  #writeDepth(target: Label, within: number): void {
    const { length } = this.#labels;
    const { depth = length } = target;
    if (this.#labels[depth] === target) this.#out.unsigned(length - 1 - depth + within);
    else if (this.#holes === undefined) {
      throw new Error(`Branch to ${target.label} from outside of it`);
    } else {
      const what = { kind: 'label', label: target, depth: length + within } as const;
      this.#holes.push({ at: this.#out.length, what });
    }
  }
}

const isSequence = (code: Exclude<Code, number>): code is readonly Code[] => Array.isArray(code);
