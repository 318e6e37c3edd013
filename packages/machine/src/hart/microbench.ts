import { assemble } from '../isa/assemble.ts';
import { createHart } from './create.ts';
import { GuestMemory } from './guest-memory.ts';

/** Loops of instructions, to see what the interpreter does with each kind. Endless by themselves. */
const loops = {
  arithmetic: `
    loop: addi a0, a0, 1
    xor a2, a0, a1
    slli a3, a2, 3
    add a1, a1, a3
    bne a0, zero, loop`,
  memory: `
    loop: ld a0, 0(sp)
    addi a0, a0, 1
    sd a0, 0(sp)
    lw a1, 8(sp)
    bne sp, zero, loop`,
  calls: `
    loop: jal ra, callee
    jal zero, loop
    callee: addi a0, a0, 1
    jalr zero, 0(ra)`,
  float: `
    loop: fmadd.d fa0, fa1, fa2, fa3
    fadd.d fa4, fa1, fa2
    fmul.d fa5, fa1, fa4
    beq zero, zero, loop`,
  csr: `
    loop: csrrw a0, 0x340, a0
    csrrs a1, 0x300, zero
    beq zero, zero, loop`,
} as const;
export type LoopName = keyof typeof loops;

export const loopNames = Object.keys(loops) as readonly LoopName[];

const BASE = 0x8000_0000n;

/**
 * Prepares one of {@link loopNames} on a hart of its own. The function given executes so many
 * instructions of it; the first calls run code that the host has not optimised yet.
 */
export async function prepareLoop(name: LoopName): Promise<(instructions: number) => void> {
  const memory = new GuestMemory(1 << 20);
  const bus = { contains: () => false, read: () => 0, write: () => {} };
  const hart = await createHart({ memory, bus, clock: { kind: 'instructions' } });
  const code = assemble(loops[name], BASE);
  memory.writable(Number(BASE), code.byteLength).set(new Uint8Array(code.buffer));
  hart.reset({ pc: BASE });
  hart.writeX(2, BASE + 0x8000n);
  hart.writeCsr(0x300, 3n << 13n);
  hart.writeCsr(0x003, 1n);
  for (let register = 0; register < 32; register++) {
    hart.writeF(register, 0x3fb999999999999an + BigInt(register));
  }
  return (instructions) => void hart.run(instructions);
}
