import { elf } from './elf.ts';

/**
 * The program `sync`: sync(2), and an end. busybox has one too, which takes ten times as long to start.
 * `programs.test.ts` assembles the source and compares.
 */
export const syncSource = `
  addi a7, zero, 81
  ecall
  addi a0, zero, 0
  addi a7, zero, 93
  ecall`;

export const syncProgram: Uint8Array = elf(
  [0x05100893, 0x00000073, 0x00000513, 0x05d00893, 0x00000073],
  { address: 0x2_0000, size: 4096 },
);
