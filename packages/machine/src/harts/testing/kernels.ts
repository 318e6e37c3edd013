import assert from 'node:assert/strict';
import { Machine } from '../../machine.ts';
import type { MachineOptions } from '../../machine-options.ts';
import { buildImage, loadConstant } from '../../platform/testing/programs.ts';

/** Small kernels for machines with several harts, in assembly, run in S-mode. */

export const Sbi = { timer: 0x5449_4d45, ipi: 0x73_5049, fence: 0x5246_4e43, harts: 0x48_534d };

/** Labels that were made: each is there once. */
let labels = 0;

/** A call of the firmware, whose arguments are in a0 and on already. */
export const sbi = (extension: number, id: number): string =>
  `addi a6, zero, ${id}\n${loadConstant('a7', extension)}\necall`;

/** Powers the machine off with an exit code from a register, which is 0 where all is well. */
export function powerOff(register: string): string {
  const hang = `hang${++labels}`;
  return `
  csrrw zero, 0x180, zero
  slli t0, ${register}, 16
  ${loadConstant('t1', 0x3333)}
  or t0, t0, t1
  lui t1, 0x100
  sw t0, 0(t1)
  ${hang}: jal zero, ${hang}`;
}

/** Powers off with `code` where the condition of a branch (`bne a0, zero`) holds. */
export function failIf(branch: string, code: number): string {
  const [bad, good] = [`bad${++labels}`, `good${labels}`];
  return `${branch}, ${bad}\njal zero, ${good}\n${bad}: addi t2, zero, ${code}\n${powerOff('t2')}\n${good}:`;
}

/** All harts wait here for each other. Each barrier has a place of its own, below 2048. */
export function barrier(harts: number, place: number): string {
  const wait = `wait${++labels}`;
  return `
    addi t0, s1, ${place}
    addi t1, zero, 1
    amoadd.d zero, t1, (t0)
    addi t1, zero, ${harts}
    ${wait}: ld t2, 0(t0)
    blt t2, t1, ${wait}`;
}

/**
 * Hart 0 starts the others, then all execute `work` with s0 the hart's id and s1 room for data that is
 * zero; `then` is for hart 0 when all are done, with a2 the exit code that it powers off with.
 */
export function kernel(harts: number, work: string, then = ''): string {
  return `
    jal t0, main
    secondary: jal zero, common
    main: addi s2, t0, 0
    addi s3, zero, 1
    addi s4, zero, ${harts}
    start: bge s3, s4, started
    addi a0, s3, 0
    addi a1, s2, 0
    addi a2, zero, 0
    ${sbi(Sbi.harts, 0)}
    ${failIf('bne a0, zero', 99)}
    addi s3, s3, 1
    jal zero, start
    started: addi a0, zero, 0
    common: addi s0, a0, 0
    lui s1, 0x81
    slli s1, s1, 12
    ${work}
    ${barrier(harts, 2040)}
    bne s0, zero, idle
    addi a2, zero, 0
    ${then}
    ${powerOff('a2')}
    idle: wfi
    jal zero, idle`;
}

/** A machine with so many harts whose kernel is `source`. */
export function machineOf(cpus: number, source: string, options: Partial<MachineOptions> = {}) {
  return Machine.create({ kernel: buildImage(source), memoryMiB: 64, cpus, ...options });
}

/** Runs a kernel, interpreted and compiled: it powers off with the number of what went wrong, or 0. */
export async function passes(cpus: number, source: string): Promise<void> {
  for (const jit of [false, { threshold: 20, batch: 1 }]) {
    const machine = await machineOf(cpus, source, { jit });
    assert.deepEqual(await machine.run(), { reason: 'poweroff', code: 0 });
  }
}
