import { assemble } from '../isa/assemble.ts';
import { createHart } from './create.ts';
import { GuestMemory } from './guest-memory.ts';
import type { Bus, Clock, Hart, HartOptions } from './hart.ts';

/** Small programs on a hart, for tests. */

export const BASE = 0x8000_0000;

export interface TestHart {
  readonly hart: Hart;
  readonly memory: GuestMemory;
}

/** Pages are decoded at the first jump to them, and nothing is compiled. */
export const decodes = { threshold: 1e9, batch: 1, warmAfter: 1 };

/**
 * Everything is compiled at its first jump where the environment has ANOLE_TEST_JIT, and decoded where it has
 * ANOLE_TEST_DECODED, so that tests of the interpreter are tests of compiled and of decoded code, too.
 */
const fromEnvironment =
  process.env['ANOLE_TEST_JIT'] !== undefined
    ? { threshold: 1, batch: 1 }
    : process.env['ANOLE_TEST_DECODED'] && decodes;

/** The same for harts whose RAM is shared, where it has ANOLE_TEST_SHARED. */
const shared = process.env['ANOLE_TEST_SHARED'] === undefined ? undefined : {};

export interface TestOptions {
  readonly bus?: Bus;
  readonly clock?: Clock;
  readonly firmware?: (hart: Hart) => void;
  readonly size?: number;
  readonly jit?: HartOptions['jit'];
  /** The hart's RAM is then as several have it. */
  readonly exchange?: HartOptions['exchange'];
}

const emptyBus: Bus = { contains: () => false, read: () => 0, write: () => {} };

export async function makeHart(options: TestOptions = {}): Promise<TestHart> {
  const jit = options.jit ?? fromEnvironment;
  const memory = new GuestMemory(
    options.size ?? 1 << 20,
    undefined,
    options.exchange ? {} : shared,
  );
  const hart = await createHart({
    memory,
    bus: options.bus ?? emptyBus,
    clock: options.clock ?? { kind: 'instructions' },
    ...(jit && { jit }),
    ...(options.exchange && { exchange: options.exchange }),
    ...(options.firmware === undefined ? {} : { firmware: options.firmware }),
  });
  return { hart, memory };
}

/** Puts a program at `address` and gives the number of its instructions. */
export function place({ hart, memory }: TestHart, source: string, address = BASE): number {
  const words = assemble(source, BigInt(address));
  memory.writable(address, words.length * 4).set(new Uint8Array(words.buffer));
  hart.fenceCode();
  return words.length;
}

/** Places a program at the start of RAM and executes each of its instructions once. */
export function runOnce(test: TestHart, source: string): void {
  const count = place(test, source);
  test.hart.pc = BigInt(BASE);
  test.hart.flushTlb();
  test.hart.run(count);
}

/** Lets S and U access everything: PMP, without a region, refuses them. */
export function openPmp({ hart }: TestHart): void {
  hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  hart.writeCsr(0x3a0, 0x1fn);
}

/** Sums squares, by a call from a page to another one; s1 counts rounds. */
export const squares = `
  auipc s0, 0x10
  loop: jal ra, far
  addi s1, s1, 1
  jal zero, loop
  far: mul t1, s1, s1
  add s2, s2, t1
  sd s2, 0(s0)
  jalr zero, 0(ra)`;
