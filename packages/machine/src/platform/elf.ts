import { MachineError } from '../errors.ts';
import type { GuestMemory } from '../hart/guest-memory.ts';

/** A program's segment that is loaded. */
export interface ElfSegment {
  /** Physical address. */
  readonly address: number;
  readonly offset: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

export interface ElfProgram {
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  /** Addresses of the symbols asked for that the program has. */
  readonly symbols: ReadonlyMap<string, number>;
}

// System V ABI, "Object Files"; RISC-V ELF psABI for the machine number.
const HEADER_SIZE = 64;
const MAGIC = 0x464c_457f;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const TYPE_EXECUTABLE = 2;
const MACHINE_RISCV = 243;
const PROGRAM_HEADER_SIZE = 56;
const SECTION_HEADER_SIZE = 64;
const SYMBOL_SIZE = 24;
const SEGMENT_LOAD = 1;
const SECTION_SYMBOLS = 2;
/** The largest page that linkers align segments to. */
const MAX_PAGE = 0x1_0000;

const machineNames: Readonly<Record<number, string>> = {
  3: 'i386',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  62: 'x86-64',
  183: 'arm64',
  258: 'loongarch',
};

/**
 * Reads a statically linked ELF64 program for RISC-V. Every offset and count is checked against the
 * file; addresses are checked when it is loaded.
 *
 * @param wanted names of symbols to look for
 * @throws MachineError `MACHINE_BAD_ELF`, `MACHINE_WRONG_ARCHITECTURE`
 */
export function parseElf(bytes: Uint8Array, wanted: readonly string[]): ElfProgram {
  if (bytes.length < HEADER_SIZE) throw badElf(`${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw badElf('no ELF magic at its start');
  checkArchitecture(view);
  const type = view.getUint16(16, true);
  if (type !== TYPE_EXECUTABLE) {
    throw badElf(`type ${type}`, 'link it statically with an address of its own (-static -no-pie)');
  }
  return {
    entry: view.getBigUint64(24, true),
    segments: readSegments(view),
    symbols: readSymbols(view, wanted),
  };
}

/**
 * Copies the segments into RAM, zeros what the file does not have of them.
 *
 * @throws MachineError `MACHINE_BAD_ELF` for a segment outside RAM
 */
export function loadElf(program: ElfProgram, bytes: Uint8Array, memory: GuestMemory): void {
  const segments = program.segments.map((segment) => withoutHeaders(segment, memory.base));
  const total = segments.reduce((sum, segment) => sum + segment.memorySize, 0);
  if (total > memory.size) throw badElf(`segments of ${total} bytes in all, more than RAM`);
  for (const { address, offset, fileSize, memorySize } of segments) {
    if (!memory.contains(address, memorySize)) {
      throw badElf(
        `a segment of ${memorySize} bytes at 0x${address.toString(16)}, outside RAM`,
        `RAM is ${memory.size} bytes at 0x${memory.base.toString(16)}: link for it, or give more memory`,
      );
    }
    const target = memory.writable(address, memorySize);
    target.set(bytes.subarray(offset, offset + fileSize));
    target.fill(0, fileSize);
  }
}

/**
 * A linker without a script of its own puts the file's headers in front of the code, in a page below
 * the address asked for. No program needs them: they are left out.
 */
function withoutHeaders(segment: ElfSegment, ramBase: number): ElfSegment {
  const { address, offset, fileSize, memorySize } = segment;
  const below = ramBase - address;
  if (offset !== 0 || below <= 0 || below > MAX_PAGE || below >= fileSize) return segment;
  return {
    address: ramBase,
    offset: below,
    fileSize: fileSize - below,
    memorySize: memorySize - below,
  };
}

function checkArchitecture(view: DataView): void {
  const wide = view.getUint8(4) === CLASS_64;
  const endian = view.getUint8(5);
  const machine = view.getUint16(18, endian === LITTLE_ENDIAN);
  if (wide && endian === LITTLE_ENDIAN && machine === MACHINE_RISCV) return;
  const name =
    machine === MACHINE_RISCV
      ? `riscv${wide ? '64' : '32'}${endian === LITTLE_ENDIAN ? '' : ' big-endian'}`
      : (machineNames[machine] ?? `ELF machine ${machine}`);
  throw new MachineError(
    'MACHINE_WRONG_ARCHITECTURE',
    `Cannot run a program for ${name}: the machine is riscv64`,
    { details: { architecture: name, machine }, hint: 'compile it for riscv64' },
  );
}

function readSegments(view: DataView): ElfSegment[] {
  const segments: ElfSegment[] = [];
  const table = readTable(view, 32, 54, PROGRAM_HEADER_SIZE, 'program headers');
  for (let i = 0; i < table.count; i++) {
    const at = table.offset + i * PROGRAM_HEADER_SIZE;
    const memorySize = readU53(view, at + 40);
    if (view.getUint32(at, true) !== SEGMENT_LOAD || memorySize === 0) continue;
    const offset = readU53(view, at + 8);
    const fileSize = readU53(view, at + 32);
    if (offset + fileSize > view.byteLength || fileSize > memorySize) {
      throw badElf(`a segment of ${fileSize} bytes at offset ${offset}, outside the file`);
    }
    segments.push({ address: readU53(view, at + 24), offset, fileSize, memorySize });
  }
  if (segments.length === 0) throw badElf('no segment to load');
  return segments;
}

function readSymbols(view: DataView, wanted: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  const table = readTable(view, 40, 58, SECTION_HEADER_SIZE, 'section headers');
  for (let i = 0; i < table.count; i++) {
    const at = table.offset + i * SECTION_HEADER_SIZE;
    if (view.getUint32(at + 4, true) !== SECTION_SYMBOLS) continue;
    const link = view.getUint32(at + 40, true);
    if (link >= table.count) throw badElf(`a string table ${link} of ${table.count}`);
    const symbols = sectionRange(view, at);
    const strings = sectionRange(view, table.offset + link * SECTION_HEADER_SIZE);
    collectSymbols(view, symbols, strings, wanted, found);
    // A file has at most one; more would only cost time.
    break;
  }
  return found;
}

interface Range {
  readonly offset: number;
  readonly size: number;
}

function collectSymbols(
  view: DataView,
  symbols: Range,
  strings: Range,
  wanted: readonly string[],
  found: Map<string, number>,
): void {
  const end = symbols.offset + symbols.size;
  for (let at = symbols.offset; at + SYMBOL_SIZE <= end; at += SYMBOL_SIZE) {
    const nameAt = view.getUint32(at, true);
    const name = wanted.find((candidate) => hasName(view, strings, nameAt, candidate));
    if (name !== undefined) found.set(name, readU53(view, at + 8));
  }
}

function hasName(view: DataView, strings: Range, nameAt: number, name: string): boolean {
  if (nameAt + name.length >= strings.size) return false;
  const at = strings.offset + nameAt;
  for (let i = 0; i < name.length; i++) {
    if (view.getUint8(at + i) !== name.charCodeAt(i)) return false;
  }
  return view.getUint8(at + name.length) === 0;
}

/** A table named in the ELF header by the offsets of its fields there; entry size precedes count. */
function readTable(view: DataView, offsetAt: number, sizeAt: number, entry: number, what: string) {
  const offset = readU53(view, offsetAt);
  const count = view.getUint16(sizeAt + 2, true);
  if (count > 0 && view.getUint16(sizeAt, true) !== entry) throw badElf(`${what} of another size`);
  if (count > 0 && offset + count * entry > view.byteLength) {
    throw badElf(`${what} outside the file`);
  }
  return { offset, count };
}

function sectionRange(view: DataView, header: number): Range {
  const offset = readU53(view, header + 24);
  const size = readU53(view, header + 32);
  if (offset + size > view.byteLength) throw badElf('a section outside the file');
  return { offset, size };
}

/** A 64-bit field as a number; one above 2^53 becomes a number that fits no file and no RAM. */
function readU53(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  return value > 0x10_0000_0000_0000n ? 0x10_0000_0000_0000 : Number(value);
}

function badElf(what: string, hint?: string): MachineError {
  return new MachineError('MACHINE_BAD_ELF', `Cannot run the program: it has ${what}`, {
    ...(hint !== undefined && { hint }),
  });
}
