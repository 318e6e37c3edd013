import { assemble } from '@anole/machine';
import { codeAddress, elf } from '../packages/sandbox/src/guest/elf.ts';

const buffer = { address: 0x2_0000, size: 0x1_0000 };

/**
 * A program of the guest's that opens, reads and closes the files that it is given, and nothing else. `cat`
 * spends more on each file than the file system does. Ends with 1 where a call failed.
 */
const source = `
  addi s1, sp, 16           # argv[1]
  next: ld a1, 0(s1)
  addi s1, s1, 8
  addi a0, zero, 0
  beq a1, zero, exit
  addi a0, zero, -100       # AT_FDCWD
  addi a2, zero, 0          # O_RDONLY
  addi a7, zero, 56         # openat
  ecall
  blt a0, zero, fail
  addi s2, a0, 0
  read: addi a0, s2, 0
  lui a1, ${buffer.address >>> 12}
  lui a2, ${buffer.size >>> 12}
  addi a7, zero, 63         # read
  ecall
  blt a0, zero, fail
  bne a0, zero, read
  addi a0, s2, 0
  addi a7, zero, 57         # close
  ecall
  jal zero, next
  fail: addi a0, zero, 1
  exit: addi a7, zero, 93   # exit
  ecall`;

/** The program, at `reader` of the guest's root. */
export const reader = {
  path: 'reader',
  mode: 0o755,
  bytes: elf([...assemble(source, BigInt(codeAddress))], buffer),
};
