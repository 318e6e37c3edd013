import { elf } from './elf.ts';

/**
 * The program `renew`: what QuickJS has no call for. It reads messages of 48 bytes from standard input:
 * 32 random ones, then seconds and nanoseconds since 1970 (u64 each). Standard output is /dev/urandom.
 * It adds the bytes to the kernel's entropy (RNDADDENTROPY), has its generator seeded anew at once
 * (RNDRESEEDCRNG), sets the clock, and answers with a byte on standard error: 0 if all went well.
 *
 * The source is here; `programs.test.ts` assembles it and compares.
 */
export const renewSource = `
  addi sp, sp, -64
  next: addi a0, zero, 0
  addi a1, sp, 8
  addi a2, zero, 48
  addi a7, zero, 63
  ecall
  addi t0, zero, 48
  bne a0, t0, end
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
  sltu s0, zero, s0
  sb s0, 0(sp)
  addi a0, zero, 2
  addi a1, sp, 0
  addi a2, zero, 1
  addi a7, zero, 64
  ecall
  jal zero, next
  end: addi a0, zero, 0
  addi a7, zero, 93
  ecall`;

/** {@link renewSource} in machine code. */
const words = [
  0xfc010113, 0x00000513, 0x00810593, 0x03000613, 0x03f00893, 0x00000073, 0x03000293, 0x06551e63,
  0x10000293, 0x00512023, 0x02000293, 0x00512223, 0x00100513, 0x400855b7, 0x20358593, 0x00010613,
  0x01d00893, 0x00000073, 0x00050413, 0x00100513, 0x000055b7, 0x20758593, 0x00000613, 0x00000073,
  0x00a46433, 0x00000513, 0x02810593, 0x07000893, 0x00000073, 0x00a46433, 0x00803433, 0x00810023,
  0x00200513, 0x00010593, 0x00100613, 0x04000893, 0x00000073, 0xf71ff06f, 0x00000513, 0x05d00893,
  0x00000073,
];

export const renewProgram: Uint8Array = elf(words, { address: 0x100_0000, size: 4096 });
