import type { ByteSink } from '../devices/device.ts';
import type { GuestMemory } from '../hart/guest-memory.ts';

// The host-target interface as programs for Spike use it (riscv-isa-sim, fesvr/htif.cc, device.cc,
// syscall.cc): 63:56 device, 55:48 command, 47:0 payload.
const DEVICE_SYSCALL = 0n;
const DEVICE_CONSOLE = 1n;
const COMMAND_WRITE = 1n;
const PAYLOAD = (1n << 48n) - 1n;
/** A request block: number or result, then arguments, 8 bytes each. */
const BLOCK_SIZE = 64;
/** System calls by their number in Linux for riscv64. */
const SYS_WRITE = 64n;
const SYS_EXIT = 93n;
const EBADF = -9n;
const EFAULT = -14n;
const ENOSYS = -38n;
/** Larger writes come back short, as they may from any write. */
const MAX_WRITE = 0x10_0000;

export interface HtifOptions {
  readonly memory: GuestMemory;
  readonly tohost: number;
  readonly fromhost: number | undefined;
  /** Takes what the program prints: by the console device, or `write` to descriptors 1 and 2. */
  readonly output: ByteSink;
}

/**
 * The host's side of HTIF: looks at `tohost`, which is plain memory, whenever it is polled.
 */
export class Htif {
  readonly #options: HtifOptions;

  constructor(options: HtifOptions) {
    this.#options = options;
  }

  /** Serves what the program asked for; the exit code (`tohost >> 1`) once it asked to end. */
  poll(): number | undefined {
    const { memory, tohost } = this.#options;
    const request = memory.readU64(tohost);
    if (request === 0n) return undefined;
    const device = request >> 56n;
    const payload = request & PAYLOAD;
    if (device === DEVICE_SYSCALL && payload & 1n) return Number(payload >> 1n);
    memory.writeU64(tohost, 0n);
    if (device === DEVICE_SYSCALL) return this.#syscall(Number(payload));
    if (device === DEVICE_CONSOLE && ((request >> 48n) & 0xffn) === COMMAND_WRITE) {
      this.#options.output(Uint8Array.of(Number(payload & 0xffn)));
    }
    return undefined;
  }

  #syscall(address: number): number | undefined {
    const { memory } = this.#options;
    // A block that is not RAM cannot be answered; like Spike's, such a program waits for ever.
    if (!memory.contains(address, BLOCK_SIZE)) return undefined;
    const argument = (index: number) => memory.readU64(address + 8 * index);
    const number = argument(0);
    if (number === SYS_EXIT) return Number(argument(1) & 0xffff_ffffn);
    const result =
      number === SYS_WRITE
        ? this.#write(argument(1), Number(argument(2)), Number(argument(3)))
        : ENOSYS;
    memory.writeU64(address, BigInt.asUintN(64, result));
    this.#respond(1n);
    return undefined;
  }

  #write(descriptor: bigint, address: number, length: number): bigint {
    if (descriptor !== 1n && descriptor !== 2n) return EBADF;
    const count = Math.min(length, MAX_WRITE);
    const { memory, output } = this.#options;
    if (!memory.contains(address, count)) return EFAULT;
    output(memory.readable(address, count).slice());
    return BigInt(count);
  }

  #respond(value: bigint): void {
    const { memory, fromhost } = this.#options;
    if (fromhost !== undefined) memory.writeU64(fromhost, value);
  }
}

/**
 * Memory between two symbols as the RISC-V architecture tests print it: little-endian words in
 * hexadecimal, one a line. What does not fill a last word is padded with zeros.
 *
 * @param wordSize bytes a line: 4 unless the test asks for others
 */
export function formatSignature(bytes: Uint8Array, wordSize = 4): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += wordSize) {
    for (let i = wordSize - 1; i >= 0; i--) {
      text += (bytes[at + i] ?? 0).toString(16).padStart(2, '0');
    }
    text += '\n';
  }
  return text;
}
