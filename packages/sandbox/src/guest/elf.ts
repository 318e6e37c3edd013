const headerSize = 64;
const programHeaderSize = 56;
const executable = 1; // PF_X
const writable = 2;
const readable = 4;

/** Where the code of {@link elf} begins in memory. */
export const codeAddress = 0x1_0000 + headerSize + 2 * programHeaderSize;

/** A program of one segment of code and one of zeroed memory: elf(5). */
export function elf(
  words: readonly number[],
  memory: { address: number; size: number },
): Uint8Array {
  const code = Uint32Array.from(words);
  const codeAt = headerSize + 2 * programHeaderSize;
  const bytes = new Uint8Array(codeAt + code.byteLength);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // 64 bits, little-endian, version 1
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 243, true); // EM_RISCV
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(codeAddress), true); // entry
  view.setBigUint64(32, BigInt(headerSize), true); // program headers
  view.setUint16(52, headerSize, true);
  view.setUint16(54, programHeaderSize, true);
  view.setUint16(56, 2, true);
  const segment = (at: number, flags: number, address: number, file: number, size: number) => {
    view.setUint32(at, 1, true); // PT_LOAD
    view.setUint32(at + 4, flags, true);
    view.setBigUint64(at + 16, BigInt(address), true);
    view.setBigUint64(at + 24, BigInt(address), true);
    view.setBigUint64(at + 32, BigInt(file), true);
    view.setBigUint64(at + 40, BigInt(size), true);
    view.setBigUint64(at + 48, 4096n, true);
  };
  const { length } = bytes;
  segment(headerSize, readable | executable, codeAddress - codeAt, length, length);
  const { address, size } = memory;
  segment(headerSize + programHeaderSize, readable | writable, address, 0, size);
  code.forEach((word, index) => {
    view.setUint32(codeAt + 4 * index, word, true);
  });
  return bytes;
}
