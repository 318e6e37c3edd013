import type { CallOptions } from '@anole/bytes';
import { MachineError } from './errors.ts';
import { buildMachine, type Control } from './machine-build.ts';
import {
  type ClockKind,
  checkCpus,
  type ForkOptions,
  type MachineExit,
  type MachineOptions,
  memorySize,
  type RestOptions,
  type RestoreOptions,
  randomSeed,
  type SaveOptions,
  withPanic,
} from './machine-options.ts';
import type { Board } from './platform/board.ts';
import { loadLinux } from './platform/boot.ts';
import type { PanicWatch } from './platform/panic-watch.ts';
import { windowRegion, withWindows } from './platform/windows.ts';
import { Runner, type RunStatistics } from './run/runner.ts';
import { checkDevices, devicesFromJson, isQuiet, windowsOf } from './snapshot/board-state.ts';
import { forkBoard, type Ground, type MachineFork } from './snapshot/fork.ts';
import { restoreHarts } from './snapshot/hart-state.ts';
import type { Snapshot } from './snapshot/read.ts';
import { type SnapshotSink, writeSnapshot } from './snapshot/write.ts';

/**
 * A RISC-V computer that boots Linux.
 *
 * @example
 * const machine = await Machine.create({
 *   kernel: await readFile('vmlinux'),
 *   initrd: await readFile('initramfs.cpio'),
 *   commandLine: 'console=ttyS0',
 *   onSerial: (bytes) => process.stdout.write(bytes),
 * });
 * const exit = await machine.run();
 * console.log(exit.reason); // poweroff
 */
export class Machine implements AsyncDisposable {
  readonly #board: Board;
  readonly #runner: Runner;
  readonly #panic: PanicWatch;
  readonly #control: Control;
  readonly #clock: ClockKind;
  #running: Promise<MachineExit> | undefined;
  #ground: Ground;

  private constructor(
    board: Board,
    panic: PanicWatch,
    control: Control,
    clock: ClockKind,
    ground: Ground = { base: undefined, layers: [] },
  ) {
    this.#ground = ground;
    this.#board = board;
    this.#panic = panic;
    this.#control = control;
    this.#clock = clock;
    this.#runner = new Runner(board, { clock, ended: () => control.end !== undefined });
    control.wake = () => this.#runner.wake();
    control.interrupt = () => board.hart.requestStop();
  }

  /**
   * Builds the machine and loads the kernel; nothing runs yet. `kernel` and `initrd` are not kept.
   *
   * @throws MachineError `MACHINE_BAD_KERNEL`, `MACHINE_WRONG_ARCHITECTURE`, `MACHINE_TOO_LARGE`,
   *   `MACHINE_BAD_OPTION`; HartError `MACHINE_BAD_CONFIG`, `MACHINE_NO_WASM`
   */
  static async create(options: MachineOptions): Promise<Machine> {
    const { devices = [], clock = 'real', cpus = 1 } = options;
    checkCpus(cpus, clock);
    const named = memorySize(options.memoryMiB ?? 512);
    const memory = { ...withWindows(named, devices), clock, cpus };
    const { board, panic, control } = await buildMachine(options, memory);
    const entry = loadLinux(board.memory, {
      kernel: options.kernel,
      ...(options.initrd && { initrd: options.initrd }),
      commandLine: withPanic(options.commandLine ?? ''),
      randomSeed: randomSeed(options, clock),
      pciSlots: devices.length,
      cpus,
      memorySize: named,
      windows: windowRegion(memory.memorySize, memory.windows),
    });
    board.hart.reset({ pc: entry.pc, a0: 0n, a1: entry.deviceTree, mode: 'S' });
    return new Machine(board, panic, control, clock);
  }

  /**
   * Builds a machine that goes on where {@link save} left one, on whatever computer. Pages are read
   * from the snapshot's source when they are touched, so this takes no longer for more memory. What
   * `save` gave up must be told anew: sizes of terminals. Guest time goes on from where it was; the
   * guest's wall clock is then late until someone sets it. With the `real` clock the guest is told that it
   * is a copy, and Linux seeds its random numbers anew.
   *
   * @throws MachineError `MACHINE_SNAPSHOT_FOREIGN` where `devices` are not those of the snapshot,
   *   `MACHINE_SNAPSHOT_DAMAGED`; HartError `MACHINE_BAD_CONFIG`, `MACHINE_NO_WASM`. A page that turns
   *   out to be damaged ends {@link run} with `MACHINE_SNAPSHOT_DAMAGED`.
   */
  static async restore(options: RestoreOptions): Promise<Machine> {
    const { snapshot, isCopy = true } = options;
    const { memorySize, clock, cpus = 1 } = snapshot.shape;
    const { fill, ticks: startTicks } = snapshot;
    // It has the windows that it had, whatever its devices could have now.
    const windows = windowsOf(snapshot.shape);
    const memory = { memorySize, windows, clock, cpus, fill, startTicks };
    const { board, panic, control } = await buildMachine(options, memory);
    checkDevices(snapshot.shape, board);
    devicesFromJson(board, snapshot.devices);
    restoreHarts(board, snapshot.hart);
    if (snapshot.code) board.hart.adoptCode(snapshot.code);
    if (isCopy && clock === 'real') board.renew();
    // What was written so far is as the snapshot has it.
    board.memory.takeWritten();
    return new Machine(board, panic, control, clock, groundOf(snapshot));
  }

  /** Instructions retired and time spent on them, so far. */
  get statistics(): RunStatistics {
    return this.#runner.statistics;
  }

  /**
   * Runs until the guest powers off, reboots or panics, or until {@link stop}. The host's event loop
   * goes on meanwhile. Callable once.
   *
   * @throws MachineError `MACHINE_WRONG_STATE` when called again; whatever a device's host side threw
   */
  run(options: CallOptions = {}): Promise<MachineExit> {
    if (this.#running !== undefined) fail('run', 'it was run already');
    this.#running = this.#run(options.signal);
    return this.#running;
  }

  /**
   * Writes the machine as a file: at once when it does not run, else at the next moment between two
   * instructions at which no device waits for the host. `sink` is called until all is written, while
   * the guest stands still; it goes on afterwards. What it throws, this throws.
   *
   * @throws MachineError `MACHINE_WRONG_STATE` when the machine ended; the signal's reason
   */
  save(sink: SnapshotSink, options: SaveOptions = {}): Promise<void> {
    return this.#atRest(() => writeSnapshot(this.#board, this.#clock, sink, options), options);
  }

  /**
   * Takes the machine as it is at the next moment at which {@link save} could, into memory that other
   * threads can use: {@link openFork} makes a snapshot of it. Copies only pages that the guest wrote
   * since the last fork, and goes on. Forks share what they did not write.
   *
   * @param alongside called at the same moment: for the state of what is behind the devices
   * @throws MachineError `MACHINE_WRONG_STATE` when the machine ended; what `alongside` throws
   */
  async fork<T>(
    alongside: () => T,
    { code = true, ...options }: ForkOptions = {},
  ): Promise<{ readonly machine: MachineFork; readonly alongside: T }> {
    return await this.#atRest(() => {
      const beside = alongside();
      const machine = forkBoard(this.#board, this.#clock, this.#ground, code);
      this.#ground = machine;
      return { machine, alongside: beside };
    }, options);
  }

  /** Acts while the machine stands still, with nothing under way that its devices could not tell. */
  async #atRest<T>(act: () => T, options: RestOptions): Promise<T> {
    const { whenIdle = false, quiet = () => true, signal } = options;
    signal?.throwIfAborted();
    if (this.#control.end !== undefined) fail('save', 'it ended');
    if (this.#running === undefined) return act();
    if (this.#runner.inspect !== undefined) fail('save', 'it is being saved');
    return await new Promise<T>((resolve, reject) => {
      let settled = false;
      const settle = (last: () => T) => {
        if (settled) return;
        settled = true;
        this.#runner.inspect = undefined;
        signal?.removeEventListener('abort', onAbort);
        try {
          resolve(last());
        } catch (error) {
          reject(error);
        }
      };
      const onAbort = () => settle(() => signal?.throwIfAborted() as never);
      const onEnd = () => settle(() => fail('save', 'it ended'));
      signal?.addEventListener('abort', onAbort);
      this.#running!.then(onEnd, onEnd);
      const { crew, hart } = this.#board;
      this.#runner.inspect = (idle) => {
        const atRest = !whenIdle || (idle && (crew === undefined || crew.isIdle));
        const isStill = () => isQuiet(this.#board) && quiet();
        if (!atRest || !isStill()) return;
        // On their way to a standstill, the others may start something.
        crew?.pause(hart);
        if (isStill()) settle(act);
        crew?.resume();
      };
      this.#runner.wake();
    });
  }

  /** Has the guest stand still. Its clock goes on. */
  pause(): void {
    this.#runner.governor.paused = true;
    this.#runner.wake();
  }

  /** Lets the guest go on. */
  resume(): void {
    this.#runner.governor.paused = false;
    this.#runner.wake();
  }

  /**
   * Bounds the time of a processor that the guest takes: 0.5 is half of one. Undefined: no bound. What it
   * did not take for a while it may take at once, up to 50 ms.
   *
   * @throws MachineError `MACHINE_BAD_OPTION` where it is not above 0
   */
  set cpuShare(share: number | undefined) {
    if (share !== undefined && !(share > 0 && share < 1024)) {
      throw new MachineError(
        'MACHINE_BAD_OPTION',
        `Cannot give the machine ${share} of a processor`,
        {
          hint: 'give a number above 0',
        },
      );
    }
    this.#runner.governor.share = share;
  }

  /** Ends the machine as if its power cord was pulled. Resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#control.finish({ reason: 'stopped' });
    await this.#running?.catch(() => {});
    await this.#board.stop();
    // Several harts may have machine code under way that nobody waits for.
    if (this.#board.crew === undefined) this.#board.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Sends bytes to the serial port; see `Uart.receive`. */
  writeSerial(bytes: Uint8Array): Promise<void> {
    return this.#board.uart.receive(bytes);
  }

  async #run(signal: AbortSignal | undefined): Promise<MachineExit> {
    const control = this.#control;
    const abort = () => control.finish({ reason: 'stopped' });
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    try {
      await this.#board.crew?.start();
      await this.#runner.run();
    } finally {
      signal?.removeEventListener('abort', abort);
      await this.#board.stop();
    }
    if (control.failure !== undefined) throw control.failure.error;
    const message = this.#panic.message;
    const end = control.end!;
    // A kernel that panicked resets the machine, and gives no reason with it.
    return message !== undefined && end.reason === 'reboot' ? { reason: 'panic', message } : end;
  }
}

/** What forks of a machine that was restored from a snapshot share with it. */
function groundOf({ sum, layers = [] }: Snapshot): Ground {
  return { base: sum, layers };
}

function fail(what: string, why: string): never {
  throw new MachineError('MACHINE_WRONG_STATE', `Cannot ${what} the machine: ${why}`);
}
