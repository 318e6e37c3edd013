import type { MemoryNode } from '@anole/vfs';

/** What ldconfig needs to know of a shared library. */
export interface SharedObject {
  /** `DT_SONAME`; undefined where there is none. */
  readonly soname: string | undefined;
  /** `e_machine`: 62 x86-64, 183 AArch64, 243 RISC-V. */
  readonly machine: number;
  /** `e_flags`. */
  readonly flags: number;
}

/** Program headers, dynamic sections and string tables are far smaller; larger is damaged. */
const PART_LIMIT = 4 * 1024 * 1024;
const SONAME_LIMIT = 4096;
const type = { load: 1, dynamic: 2 } as const;
const tag = { end: 0, stringTable: 5, soname: 14 } as const;
const SHARED_OBJECT = 3;

/**
 * Reads an ELF file of 64 bits, little endian, as far as ldconfig does. System V ABI, "ELF Header",
 * "Program Header", "Dynamic Section". Undefined for anything else, also for damaged files.
 */
export async function readSharedObject(node: MemoryNode): Promise<SharedObject | undefined> {
  const header = await part(node, 0, 64);
  if (header === undefined || header.getUint32(0) !== 0x7f454c46) return undefined;
  const is64LittleEndian = header.getUint8(4) === 2 && header.getUint8(5) === 1;
  if (!is64LittleEndian || header.getUint16(16, true) !== SHARED_OBJECT) return undefined;
  const machine = header.getUint16(18, true);
  const flags = header.getUint32(48, true);
  const segments = await readSegments(node, header);
  const dynamic = segments?.find((segment) => segment.type === type.dynamic);
  if (segments === undefined || dynamic === undefined) return undefined;
  return { machine, flags, soname: await readSoname(node, dynamic, segments) };
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

async function readSegments(node: MemoryNode, header: DataView): Promise<Segment[] | undefined> {
  const count = header.getUint16(56, true);
  const size = header.getUint16(54, true);
  if (size < 56) return undefined;
  const table = await part(node, u53(header, 32), count * size);
  if (table === undefined) return undefined;
  return Array.from({ length: count }, (_, index) => {
    const at = index * size;
    return {
      type: table.getUint32(at, true),
      offset: u53(table, at + 8),
      address: u53(table, at + 16),
      size: u53(table, at + 32),
    };
  });
}

async function readSoname(
  node: MemoryNode,
  dynamic: Segment,
  segments: readonly Segment[],
): Promise<string | undefined> {
  const entries = await part(node, dynamic.offset, dynamic.size - (dynamic.size % 16));
  if (entries === undefined) return undefined;
  let name: number | undefined;
  let strings: number | undefined;
  for (let at = 0; at < entries.byteLength; at += 16) {
    const found = u53(entries, at);
    if (found === tag.end) break;
    if (found === tag.soname) name = u53(entries, at + 8);
    if (found === tag.stringTable) strings = u53(entries, at + 8);
  }
  if (name === undefined || strings === undefined) return undefined;
  const address = strings;
  const load = segments.find((segment) => {
    const inside = address - segment.address;
    return segment.type === type.load && inside >= 0 && inside < segment.size;
  });
  if (load === undefined) return undefined;
  const at = load.offset + address - load.address + name;
  const bytes = await part(node, at, Math.min(SONAME_LIMIT, node.stat.size - at));
  return bytes && untilNul(bytes);
}

async function part(
  node: MemoryNode,
  offset: number,
  length: number,
): Promise<DataView | undefined> {
  if (length <= 0 || length > PART_LIMIT || offset + length > node.stat.size) return undefined;
  const bytes = await node.read(offset, length);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function u53(view: DataView, offset: number): number {
  return Number(view.getBigUint64(offset, true));
}

function untilNul(view: DataView): string | undefined {
  let text = '';
  for (let at = 0; at < view.byteLength; at++) {
    const byte = view.getUint8(at);
    if (byte === 0) return text === '' ? undefined : text;
    text += String.fromCharCode(byte);
  }
  return undefined;
}
