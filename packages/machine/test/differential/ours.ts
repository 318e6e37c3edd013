import { createHart } from '../../src/hart/create.ts';
import { GuestMemory } from '../../src/hart/guest-memory.ts';
import type { Bus } from '../../src/hart/hart.ts';
import type { JitOptions } from '../../src/hart/jit/options.ts';
import type { Segment } from './elf.ts';
import { address, MEMORY } from './layout.ts';

const LINE_STATUS = 5;
const READY_TO_SEND = 0x60;

/**
 * Runs the same program on our hart; what it printed on the serial port.
 *
 * @param jit compile what is executed so often; default: all is interpreted
 * @param slice instructions of each run
 */
export async function runOnOurs(
  segments: readonly Segment[],
  jit?: JitOptions,
  slice = 100_000,
): Promise<Uint8Array> {
  const printed: number[] = [];
  let stop = () => {};
  const bus: Bus = {
    contains: (at) => (at >= address.uart && at < address.uart + 8) || at === address.power,
    read: (at) => (at === address.uart + LINE_STATUS ? READY_TO_SEND : 0),
    write(at, _size, value) {
      if (at === address.uart) printed.push(value & 0xff);
      if (at === address.power) stop();
    },
  };
  const memory = new GuestMemory(MEMORY);
  for (const { address: at, bytes } of segments) memory.writable(at, bytes.length).set(bytes);
  const hart = await createHart({
    memory,
    bus,
    clock: { kind: 'instructions' },
    ...(jit && { jit }),
  });
  stop = () => hart.requestStop();
  hart.reset({ pc: BigInt(address.code), a0: 0n });
  for (let rounds = 0; rounds < 1e9 / slice; rounds++) {
    if (hart.run(slice) === 'stopped') return Uint8Array.from(printed);
  }
  throw new Error('the program did not end');
}
