/** Bytes to be loaded at a physical address. */
export interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
}

const HEADER = 64;
const PROGRAM_HEADER = 56;

/** A static RISC-V ELF64 executable with one load segment each (System V ABI, "Object Files"). */
export function writeElf(entry: number, segments: readonly Segment[]): Uint8Array {
  const start = HEADER + PROGRAM_HEADER * segments.length;
  const size = segments.reduce((sum, { bytes }) => sum + bytes.length, start);
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 243, true); // EM_RISCV
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(entry), true);
  view.setBigUint64(32, BigInt(HEADER), true); // program headers
  view.setUint16(52, HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, segments.length, true);
  let offset = start;
  for (const [index, { address, bytes }] of segments.entries()) {
    const at = HEADER + index * PROGRAM_HEADER;
    view.setUint32(at, 1, true); // PT_LOAD
    view.setUint32(at + 4, 7, true); // readable, writable, executable
    for (const [field, value] of [
      offset,
      address,
      address,
      bytes.length,
      bytes.length,
      1,
    ].entries()) {
      view.setBigUint64(at + 8 + field * 8, BigInt(value), true);
    }
    out.set(bytes, offset);
    offset += bytes.length;
  }
  return out;
}
