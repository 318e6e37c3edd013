import type { CallOptions } from '@anole/bytes';
import type { ByteSink } from '../devices/device.ts';
import type { PowerRequest } from '../devices/power/device.ts';
import { MachineError } from '../errors.ts';
import type { GuestMemory } from '../hart/guest-memory.ts';
import type { Hart } from '../hart/hart.ts';
import { type JitOptions, jitOptions } from '../hart/jit/options.ts';
import { Board, type BoardEvents } from '../platform/board.ts';
import { putDeviceTree } from '../platform/boot.ts';
import { type ElfProgram, loadElf, parseElf } from '../platform/elf.ts';
import { Htif } from '../platform/htif.ts';
import { repeatableRandom } from './repeatable-random.ts';
import { Runner, type RunStatistics } from './runner.ts';

export interface ElfOptions extends Pick<CallOptions, 'signal'> {
  /** RAM in MiB, from 0x80000000 on. Default 128. */
  readonly memoryMiB?: number;
  /** Ends the run with `MACHINE_INSTRUCTION_LIMIT`. Default: none. */
  readonly maxInstructions?: number;
  /** What the program prints: through HTIF or the serial port. */
  readonly onOutput?: ByteSink;
  /**
   * Compile code that is executed often to WebAssembly; the program cannot tell. Default true.
   * `{ threshold: 1, batch: 1 }` compiles whatever is reached.
   */
  readonly jit?: boolean | JitOptions;
}

/** How a program ended. */
export interface ElfExit {
  /** `tohost >> 1`, or the code given to the power register; 0 is success. */
  readonly code: number;
  /** Memory between `begin_signature` and `end_signature`; absent where the program has none. */
  readonly signature?: Uint8Array;
  readonly statistics: RunStatistics;
}

const symbolNames = ['tohost', 'fromhost', 'begin_signature', 'end_signature'] as const;
const MIB = 0x10_0000;
/** Instructions between two looks at `tohost`. */
const POLL_INTERVAL = 10_000;

/**
 * Runs a bare-metal program from an ELF file in M-mode until it ends itself: through HTIF (symbol
 * `tohost`), through the power register, or not at all. a0 is the hart's id, a1 a device tree. Time
 * passes with instructions, so every run is the same.
 *
 * @throws MachineError `MACHINE_BAD_ELF`, `MACHINE_WRONG_ARCHITECTURE`, `MACHINE_BAD_OPTION`;
 *   `MACHINE_INSTRUCTION_LIMIT`;
 *   `MACHINE_STUCK` where the program waits for an interrupt that cannot come; the signal's reason
 */
export async function runElf(file: Uint8Array, options: ElfOptions = {}): Promise<ElfExit> {
  const program = parseElf(file, symbolNames);
  const ending = new Ending(options);
  const board = await Board.create(
    {
      memorySize: (options.memoryMiB ?? 128) * MIB,
      clock: 'instructions',
      firmware: false,
      devices: [],
      onSerial: (bytes) => options.onOutput?.(bytes),
      ...jitOptions(options.jit),
    },
    ending,
  );
  ending.attach(board, program);
  loadElf(program, file, board.memory);
  const randomSeed = new Uint8Array(64);
  repeatableRandom()(randomSeed);
  const tree = putDeviceTree(board.memory, { commandLine: '', randomSeed, pciSlots: 0 });
  board.hart.reset({ pc: program.entry, a0: 0n, a1: tree, mode: 'M' });
  const runner = new Runner(board, {
    clock: 'instructions',
    ended: () => ending.reached(),
    onStuck: () => ending.stuck(),
    sliceLimit: () => ending.sliceLimit,
  });
  await runner.run();
  const signature = signatureOf(program, board.memory);
  return { code: ending.code!, ...(signature && { signature }), statistics: runner.statistics };
}

/** Finds out when and how a program ends. */
class Ending implements BoardEvents {
  code: number | undefined;
  readonly #options: ElfOptions;
  readonly #limit: number;
  #board: Board | undefined;
  #htif: Htif | undefined;

  constructor(options: ElfOptions) {
    const { maxInstructions: limit = Number.POSITIVE_INFINITY } = options;
    if (!(limit >= 1)) {
      throw new MachineError('MACHINE_BAD_OPTION', `Cannot run ${limit} instructions`);
    }
    this.#options = options;
    this.#limit = Math.floor(limit);
  }

  attach(board: Board, program: ElfProgram): void {
    this.#board = board;
    const { memory } = board;
    const tohost = program.symbols.get('tohost');
    if (tohost === undefined) return;
    const fromhost = program.symbols.get('fromhost');
    for (const at of [tohost, fromhost ?? tohost]) {
      if (memory.contains(at, 8)) continue;
      const where = `0x${at.toString(16)}`;
      throw new MachineError('MACHINE_BAD_ELF', `Cannot use HTIF at ${where}: not RAM`);
    }
    const output: ByteSink = (bytes) => this.#options.onOutput?.(bytes);
    this.#htif = new Htif({ memory, tohost, fromhost, output });
  }

  power(request: PowerRequest): void {
    this.code ??= request.kind === 'poweroff' ? request.code : 0;
    this.#board?.hart.requestStop();
  }

  wake(): void {}

  fault(error: unknown): void {
    throw error;
  }

  get sliceLimit(): number {
    return Math.min(POLL_INTERVAL, this.#limit - this.#hart.instret);
  }

  reached(): boolean {
    this.code ??= this.#htif?.poll();
    if (this.code !== undefined) return true;
    this.#options.signal?.throwIfAborted();
    if (this.#hart.instret < this.#limit) return false;
    throw new MachineError(
      'MACHINE_INSTRUCTION_LIMIT',
      `Cannot finish the program: ${this.#limit} instructions were not enough`,
      { details: { limit: this.#limit, pc: this.#pc }, hint: `it was at ${this.#pc}` },
    );
  }

  stuck(): never {
    throw new MachineError(
      'MACHINE_STUCK',
      `Cannot go on at ${this.#pc}: the program waits for an interrupt that nothing will raise`,
      { details: { pc: this.#pc } },
    );
  }

  get #hart(): Hart {
    return this.#board!.hart;
  }

  get #pc(): string {
    return `0x${this.#hart.pc.toString(16)}`;
  }
}

function signatureOf(program: ElfProgram, memory: GuestMemory): Uint8Array | undefined {
  const begin = program.symbols.get('begin_signature');
  const end = program.symbols.get('end_signature');
  if (begin === undefined || end === undefined) return undefined;
  if (end < begin || !memory.contains(begin, end - begin)) {
    throw new MachineError('MACHINE_BAD_ELF', 'Cannot read the signature: it does not lie in RAM');
  }
  return memory.readable(begin, end - begin).slice();
}
