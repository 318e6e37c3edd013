import { describe, it } from 'node:test';
import { loadConstant } from '../platform/testing/programs.ts';
import { barrier, failIf, kernel, passes, Sbi, sbi } from './testing/kernels.ts';

/**
 * Hart 0 makes `change` of something to the number in s7, 0 to 3 in turn, has SBI's `fence` done by all,
 * and announces the round. Hart 1 reads it to t2, and between which rounds it did: what was before the
 * one announced first may not be seen any more.
 */
const rounds = ({ change, fence, read }: { change: string; fence: number; read: string }) => `
  addi s9, zero, 0
  ${loadConstant('s10', 400)}
  bne s0, zero, reader
  round: addi s9, s9, 1
  andi s7, s9, 3
  ${change}
  addi a0, zero, 2
  addi a1, zero, 0
  ${sbi(Sbi.fence, fence)}
  ${failIf('bne a0, zero', 1)}
  sd s9, 128(s1)
  blt s9, s10, round
  jal zero, over
  reader: ld s11, 128(s1)
  fence 2, 3
  ${read}
  fence 2, 3
  ld t3, 128(s1)
  sub t4, t3, s11
  addi t6, zero, 2
  bge t4, t6, passed
  andi t5, s11, 3
  beq t2, t5, passed
  addi t5, s11, 1
  andi t5, t5, 3
  beq t2, t5, passed
  addi t5, s11, 2
  andi t5, t5, 3
  beq t4, zero, stale
  beq t2, t5, passed
  stale: ${failIf('beq zero, zero', 2)}
  passed: blt s11, s10, reader
  over:`;

/** Turns translation on, for both of two harts: a root, its second level, a page table, then four pages that hold their numbers. */
const pageTable = `
  lui t0, 1
  add s3, s1, t0
  slli t1, t0, 4
  add t1, t1, t0
  add s4, s3, t1
  add s5, s3, t0
  add s6, s5, t0
  bne s0, zero, prepared
  srli t1, s6, 2
  ori t1, t1, 1
  sd t1, 8(s5)
  srli t1, s3, 2
  ori t1, t1, 1
  sd t1, 0(s6)
  addi t1, zero, 1
  slli t1, t1, 31
  srli t1, t1, 2
  ori t1, t1, 0xcf
  sd t1, 16(s5)
  addi s7, zero, 3
  fill: slli t4, s7, 12
  add t4, t4, s4
  sd s7, 0(t4)
  addi s7, s7, -1
  bge s7, zero, fill
  srli t4, s4, 2
  ori t4, t4, 0xcf
  sd t4, 8(s3)
  fence 3, 3
  prepared: ${barrier(2, 1024)}
  srli t1, s5, 12
  addi t2, zero, 8
  slli t2, t2, 60
  or t1, t1, t2
  csrrw zero, 0x180, t1
  sfence.vma zero, zero
  lui s8, 0x40001`;

/** Maps 0x40001000 to the page with the number in s7. */
const mapped = `
  slli t4, s7, 12
  add t4, t4, s4
  srli t4, t4, 2
  ori t4, t4, 0xcf
  sd t4, 8(s3)`;

describe('harts use no translation after a remote fence that their page table does not have:', () => {
  const end = 'csrrw zero, 0x180, zero\nsfence.vma zero, zero';
  for (const [name, id, size] of [
    ['of a page', 1, 1],
    ['of a page of an address space', 2, 1],
    ['of an address space', 2, 0x100],
    ['of all', 1, 0x100],
  ] as const) {
    // Hart 1 reads 0x40001000 over and over, whose entry in the TLB nothing else wants; hart 0 maps it to
    // another page each time.
    it(`${name}, while it is used`, async () => {
      const change = `${mapped}\naddi a2, s8, 0\nlui a3, ${size}`;
      const work = rounds({ change, fence: id, read: 'ld t2, 0(s8)' });
      await passes(2, kernel(2, `${pageTable}\n${work}\n${end}`));
    });

    // Hart 1 sleeps when it is asked, and looks once when it is woken.
    it(`${name}, by a hart that sleeps`, async () => {
      const work = `
          addi s9, zero, 0
          ${loadConstant('s10', 300)}
          addi s6, zero, 2
          csrrs zero, 0x104, s6
          bne s0, zero, sleeper
          round: addi s9, s9, 1
          andi s7, s9, 3
          ${mapped}
          addi a0, zero, 2
          addi a1, zero, 0
          addi a2, s8, 0
          lui a3, ${size}
          ${sbi(Sbi.fence, id)}
          ${failIf('bne a0, zero', 1)}
          sd s9, 128(s1)
          fence 3, 3
          addi a0, zero, 2
          addi a1, zero, 0
          ${sbi(Sbi.ipi, 0)}
          answer: ld t2, 192(s1)
          bne t2, s9, answer
          blt s9, s10, round
          jal zero, over
          sleeper: wfi
          csrrc zero, 0x144, s6
          ld t2, 128(s1)
          beq t2, s9, sleeper
          fence 3, 3
          addi s9, t2, 0
          andi s7, s9, 3
          ld t3, 0(s8)
          ${failIf('bne t3, s7', 2)}
          sd s9, 192(s1)
          blt s9, s10, sleeper
          over:`;
      await passes(2, kernel(2, `${pageTable}\n${work}\n${end}`));
    });
  }
});

describe('harts that are asked for a remote fence', () => {
  it('execute no code after it that was written over before', async () => {
    const prepare = `
      lui t0, 1
      add s3, s1, t0
      bne s0, zero, prepared
      ${loadConstant('t1', 0x0000_0513)}
      sw t1, 0(s3)
      ${loadConstant('t1', 0x0000_8067)}
      sw t1, 4(s3)
      fence 3, 3
      prepared: ${barrier(2, 1024)}
      fence.i`;
    // The first instruction of a function: addi a0, zero, number.
    const change = `
      slli t4, s7, 20
      ori t4, t4, 0x513
      sw t4, 0(s3)
      fence 3, 3`;
    const read = 'jalr ra, 0(s3)\naddi t2, a0, 0';
    await passes(2, kernel(2, `${prepare}\n${rounds({ change, fence: 0, read })}`));
  });
});
