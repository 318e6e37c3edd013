import { assemble } from '../../isa/assemble.ts';

const HEADER = 64;
const PROGRAM_HEADER = 56;
const SECTION_HEADER = 64;
const SYMBOL = 24;

export interface TestElf {
  readonly code: Uint8Array;
  /** Load address. Default: start of RAM. */
  readonly address?: number;
  readonly symbols?: Readonly<Record<string, number>>;
}

/** An ELF64 program with one segment and a symbol table, as a linker would write it. */
export function buildElf({ code, address = 0x8000_0000, symbols = {} }: TestElf): Uint8Array {
  const names = Object.keys(symbols);
  const strings = new TextEncoder().encode(`\0${names.join('\0')}\0`);
  const codeAt = HEADER + PROGRAM_HEADER;
  const symbolsAt = codeAt + code.length;
  const stringsAt = symbolsAt + SYMBOL * (names.length + 1);
  const sectionsAt = stringsAt + strings.length;
  const out = new Uint8Array(sectionsAt + 3 * SECTION_HEADER);
  const view = new DataView(out.buffer);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 243, true);
  u64(24, address);
  u64(32, HEADER);
  u64(40, sectionsAt);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, 1, true);
  view.setUint16(58, SECTION_HEADER, true);
  view.setUint16(60, 3, true);
  view.setUint32(HEADER, 1, true);
  [codeAt, address, address, code.length, code.length].forEach((value, i) => {
    u64(HEADER + 8 + 8 * i, value);
  });
  out.set(code, codeAt);
  let nameAt = 1;
  names.forEach((name, i) => {
    const at = symbolsAt + SYMBOL * (i + 1);
    view.setUint32(at, nameAt, true);
    u64(at + 8, symbols[name]!);
    nameAt += name.length + 1;
  });
  out.set(strings, stringsAt);
  const section = (index: number, type: number, offset: number, size: number, link: number) => {
    const at = sectionsAt + SECTION_HEADER * index;
    view.setUint32(at + 4, type, true);
    u64(at + 24, offset);
    u64(at + 32, size);
    view.setUint32(at + 40, link, true);
  };
  section(1, 2, symbolsAt, stringsAt - symbolsAt, 2);
  section(2, 3, stringsAt, strings.length, 0);
  return out;
}

/** Assembled code as bytes. */
export function code(source: string, address = 0x8000_0000n): Uint8Array {
  const words = assemble(source, address);
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** A Linux Image whose code is `source`, run in S-mode; it begins behind the 64-byte header. */
export function buildImage(source: string): Uint8Array {
  const start = 0x8020_0000n;
  const body = code(source, start + 64n);
  const out = new Uint8Array(64 + body.length);
  const view = new DataView(out.buffer);
  out.set(code('jal x0, 64', 0n), 0);
  view.setBigUint64(8, 0x20_0000n, true);
  view.setBigUint64(16, 0x10_0000n, true);
  view.setUint32(56, 0x0543_5352, true);
  out.set(body, 64);
  return out;
}

/** Loads a 32-bit constant into a register, sign-extended as `lui` does. */
export function loadConstant(register: string, value: number): string {
  const low = (value << 20) >> 20;
  const high = ((value - low) >>> 12) & 0xfffff;
  return `lui ${register}, ${high}\naddiw ${register}, ${register}, ${low}`;
}
