/**
 * The program `renew`: what QuickJS has no call for. It reads 48 bytes from standard input: 32 random
 * ones, then seconds and nanoseconds since 1970 (u64 each). Standard output is /dev/urandom. It adds
 * the bytes to the kernel's entropy (RNDADDENTROPY), has its generator seeded anew at once
 * (RNDRESEEDCRNG), and sets the clock. Exit code 0 if all went well.
 *
 * The source is here; `renew.test.ts` assembles it and compares.
 */
export const renewSource = `
  addi sp, sp, -64
  addi a0, zero, 0
  addi a1, sp, 8
  addi a2, zero, 48
  addi a7, zero, 63
  ecall
  addi t0, zero, 256
  sw t0, 0(sp)
  addi t0, zero, 32
  sw t0, 4(sp)
  addi a0, zero, 1
  lui a1, 0x40085
  addi a1, a1, 0x203
  addi a2, sp, 0
  addi a7, zero, 29
  ecall
  addi s0, a0, 0
  addi a0, zero, 1
  lui a1, 5
  addi a1, a1, 0x207
  addi a2, zero, 0
  ecall
  or s0, s0, a0
  addi a0, zero, 0
  addi a1, sp, 40
  addi a7, zero, 112
  ecall
  or s0, s0, a0
  sltu a0, zero, s0
  addi a7, zero, 93
  ecall`;

/** {@link renewSource} in machine code. */
const words = [
  0xfc010113, 0x00000513, 0x00810593, 0x03000613, 0x03f00893, 0x00000073, 0x10000293, 0x00512023,
  0x02000293, 0x00512223, 0x00100513, 0x400855b7, 0x20358593, 0x00010613, 0x01d00893, 0x00000073,
  0x00050413, 0x00100513, 0x000055b7, 0x20758593, 0x00000613, 0x00000073, 0x00a46433, 0x00000513,
  0x02810593, 0x07000893, 0x00000073, 0x00a46433, 0x00803533, 0x05d00893, 0x00000073,
];

const headerSize = 64;
const programHeaderSize = 56;
const address = 0x10000n;

/** An ELF program of one segment. */
function elf(code: Uint32Array): Uint8Array {
  const codeAt = headerSize + programHeaderSize;
  const bytes = new Uint8Array(codeAt + code.byteLength);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // 64 bits, little-endian, version 1
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 243, true); // EM_RISCV
  view.setUint32(20, 1, true);
  view.setBigUint64(24, address + BigInt(codeAt), true); // entry
  view.setBigUint64(32, BigInt(headerSize), true); // program headers
  view.setUint16(52, headerSize, true);
  view.setUint16(54, programHeaderSize, true);
  view.setUint16(56, 1, true);
  view.setUint32(headerSize, 1, true); // PT_LOAD
  view.setUint32(headerSize + 4, 5, true); // readable, executable
  view.setBigUint64(headerSize + 16, address, true);
  view.setBigUint64(headerSize + 24, address, true);
  view.setBigUint64(headerSize + 32, BigInt(bytes.length), true);
  view.setBigUint64(headerSize + 40, BigInt(bytes.length), true);
  view.setBigUint64(headerSize + 48, 4096n, true);
  code.forEach((word, index) => {
    view.setUint32(codeAt + 4 * index, word, true);
  });
  return bytes;
}

export const renewProgram: Uint8Array = elf(Uint32Array.from(words));
