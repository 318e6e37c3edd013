import { launchMemory } from '../agent/launch-request.ts';
import { elf } from './elf.ts';

/**
 * The program `launch`: what becomes a command. It is started ahead, with pipes as its streams, makes
 * itself a session, and reads what to become from standard input, to the byte, into memory whose
 * address the agent knows (agent/launch-request.ts). Then it takes a terminal or /dev/null, a directory
 * and a user, and executes the command; where the kernel does not know the file's format, /bin/sh with
 * it. What fails ends it with 126, or 127 where something is not there.
 *
 * The source is here; `programs.test.ts` assembles it and compares.
 */
export const launchSource = `
  addi a7, zero, 157
  ecall                  # setsid
  lui s0, 0x1000
  addi s1, zero, 0       # bytes read
  addi s2, zero, 128     # bytes wanted
  more: addi a0, zero, 0
  add a1, s0, s1
  sub a2, s2, s1
  addi a7, zero, 63
  ecall                  # read
  bge zero, a0, gone
  add s1, s1, a0
  bltu s1, s2, more
  ld s2, 0(s0)
  bltu s1, s2, more
  ld a1, 48(s0)
  beq a1, zero, streams
  addi a0, zero, -100    # AT_FDCWD
  addi a2, zero, 0x102   # O_RDWR, O_NOCTTY
  addi a3, zero, 0
  addi a7, zero, 56
  ecall                  # openat: the terminal
  blt a0, zero, failed
  addi s3, a0, 0
  lui a1, 5
  addi a1, a1, 0x40e     # TIOCSCTTY, also where another session has it
  addi a2, zero, 1
  addi a7, zero, 29
  ecall
  addi a0, s3, 0
  ld a1, 72(s0)
  ld a2, 80(s0)
  addi a7, zero, 55
  ecall                  # fchown
  addi s4, zero, 0
  each: addi a0, s3, 0
  addi a1, s4, 0
  addi a2, zero, 0
  addi a7, zero, 24
  ecall                  # dup3
  addi s4, s4, 1
  addi t0, zero, 3
  bltu s4, t0, each
  jal zero, close
  streams: ld t0, 40(s0)
  bne t0, zero, place
  addi a0, zero, -100
  ld a1, 96(s0)
  addi a2, zero, 0
  addi a3, zero, 0
  addi a7, zero, 56
  ecall                  # openat: /dev/null
  blt a0, zero, failed
  addi s3, a0, 0
  addi a1, zero, 0
  addi a2, zero, 0
  addi a7, zero, 24
  ecall                  # dup3
  close: addi a0, s3, 0
  addi a7, zero, 57
  ecall
  place: ld a0, 32(s0)
  addi a7, zero, 49
  ecall                  # chdir
  bne a0, zero, failed
  ld a0, 56(s0)
  ld a1, 72(s0)
  ld a2, 80(s0)
  or t0, a0, a1
  or t0, t0, a2
  beq t0, zero, execute
  ld a1, 64(s0)
  addi a7, zero, 159
  ecall                  # setgroups
  bne a0, zero, failed
  ld a0, 80(s0)
  addi a1, a0, 0
  addi a2, a0, 0
  addi a7, zero, 149
  ecall                  # setresgid
  bne a0, zero, failed
  ld a0, 72(s0)
  addi a1, a0, 0
  addi a2, a0, 0
  addi a7, zero, 147
  ecall                  # setresuid
  bne a0, zero, failed
  execute: ld a0, 8(s0)
  ld a1, 16(s0)
  ld a2, 24(s0)
  addi a7, zero, 221
  ecall                  # execve
  addi t0, zero, -8      # ENOEXEC: a script that does not say of what
  bne a0, t0, failed
  ld t0, 8(s0)
  ld a1, 16(s0)
  sd t0, 0(a1)
  addi a1, a1, -8
  ld a0, 0(a1)
  ld a2, 24(s0)
  ecall                  # execve: the shell
  failed: addi s1, zero, 126
  addi t0, zero, -2      # ENOENT: of a script's interpreter
  bne a0, t0, tell
  addi s1, zero, 127
  tell: addi a0, zero, 2
  ld a1, 104(s0)
  ld a2, 112(s0)
  addi a7, zero, 64
  ecall                  # write
  addi a0, s1, 0
  jal zero, exit
  gone: addi a0, zero, 126
  exit: addi a7, zero, 94
  ecall                  # exit_group`;

/** {@link launchSource} in machine code. */
const words = [
  0x09d00893, 0x00000073, 0x01000437, 0x00000493, 0x08000913, 0x00000513, 0x009405b3, 0x40990633,
  0x03f00893, 0x00000073, 0x18a05c63, 0x00a484b3, 0xff24e2e3, 0x00043903, 0xfd24eee3, 0x03043583,
  0x06058863, 0xf9c00513, 0x10200613, 0x00000693, 0x03800893, 0x00000073, 0x12054e63, 0x00050993,
  0x000055b7, 0x40e58593, 0x00100613, 0x01d00893, 0x00000073, 0x00098513, 0x04843583, 0x05043603,
  0x03700893, 0x00000073, 0x00000a13, 0x00098513, 0x000a0593, 0x00000613, 0x01800893, 0x00000073,
  0x001a0a13, 0x00300293, 0xfe5a62e3, 0x03c0006f, 0x02843283, 0x04029063, 0xf9c00513, 0x06043583,
  0x00000613, 0x00000693, 0x03800893, 0x00000073, 0x0c054263, 0x00050993, 0x00000593, 0x00000613,
  0x01800893, 0x00000073, 0x00098513, 0x03900893, 0x00000073, 0x02043503, 0x03100893, 0x00000073,
  0x08051a63, 0x03843503, 0x04843583, 0x05043603, 0x00b562b3, 0x00c2e2b3, 0x04028263, 0x04043583,
  0x09f00893, 0x00000073, 0x06051663, 0x05043503, 0x00050593, 0x00050613, 0x09500893, 0x00000073,
  0x04051a63, 0x04843503, 0x00050593, 0x00050613, 0x09300893, 0x00000073, 0x02051e63, 0x00843503,
  0x01043583, 0x01843603, 0x0dd00893, 0x00000073, 0xff800293, 0x02551063, 0x00843283, 0x01043583,
  0x0055b023, 0xff858593, 0x0005b503, 0x01843603, 0x00000073, 0x07e00493, 0xffe00293, 0x00551463,
  0x07f00493, 0x00200513, 0x06843583, 0x07043603, 0x04000893, 0x00000073, 0x00048513, 0x0080006f,
  0x07e00513, 0x05e00893, 0x00000073,
];

export const launchProgram: Uint8Array = elf(words, launchMemory);
