import type { CsrContext } from './csr/kinds.ts';
import { accessCsr, csrs } from './csr/table.ts';
import { floatImport } from './floats.ts';
import type { GuestMemory } from './guest-memory.ts';
import type {
  Attention,
  Bus,
  Hart,
  HartOptions,
  PrivilegeMode,
  ResetState,
  RunExit,
} from './hart.ts';
import { busImports, withoutCode } from './interpreter-imports.ts';
import type { CodeFunctions, Jit } from './jit/jit.ts';
import type { SharedCode } from './jit/shared-code.ts';
import * as at from './layout.ts';
import { Pmp } from './pmp.ts';
import { readState, writeState } from './saved-state.ts';
import { HartState } from './state.ts';
import { prepareSupervisor, STCE } from './supervisor.ts';
import { NEVER, Timers } from './timers.ts';

/** What the WebAssembly module exports. */
interface Interpreter extends CodeFunctions {
  run(): void;
  updateModes(): void;
  flushAll(): void;
  flushSpace(): void;
  flushPage(address: bigint): void;
}

const modes = { U: 0, S: 1, M: 3 } as const;
const modeNames: readonly PrivilegeMode[] = ['U', 'S', 'M', 'M'];

const SSIP = 1n << 1n;

/** The interpreter, compiled; and how it was made. */
export interface InterpreterCode {
  readonly module: WebAssembly.Module;
  readonly fused: boolean;
}

/** A hart run by the interpreter, and by compiled code where that is wanted. Made by `createHart`. */
export class InterpretedHart implements Hart {
  readonly hartId: number;
  readonly memory: GuestMemory;
  readonly #state: HartState;
  readonly #bus: Bus;
  readonly #timers: Timers;
  #interpreter: Interpreter;
  readonly #pmp: Pmp;
  readonly #csrs: CsrContext;
  readonly #jit: Jit | undefined;
  readonly #attention: Attention | undefined;
  /** Instructions executed before the slice at hand, and length of that slice. */
  #executed = 0;
  #slice = 0;
  #exit: RunExit = 'budget';
  #stopping = false;

  /**
   * @param own memory of state and TLBs: that of RAM, too, where no other hart works on it
   * @param Compiler there where hot code is to be compiled
   */
  constructor(
    options: HartOptions,
    { module, fused }: InterpreterCode,
    own: WebAssembly.Memory,
    Compiler: typeof Jit | undefined,
  ) {
    this.hartId = options.hartId ?? 0;
    this.memory = options.memory;
    this.#bus = options.bus;
    this.#state = new HartState(own);
    this.#timers = new Timers({
      state: this.#state,
      clock: options.clock,
      instret: () => this.instret,
      endSlice: () => this.#endSlice(),
    });
    this.#attention = options.attention;
    this.#pmp = new Pmp(this.#state);
    this.#csrs = this.#csrContext();
    if (options.jit && Compiler) {
      this.#jit = new Compiler(
        { memory: options.memory, own, fused, exchange: options.exchange },
        options.jit,
      );
    }
    const imports = { env: { ...this.#imports(options), memory: own } };
    const instance = new WebAssembly.Instance(module, imports);
    this.#interpreter = instance.exports as unknown as Interpreter;
    this.#jit?.connect(this.#interpreter);
    this.#state.clear();
    // The first part of each table, which a flush makes empty; the rest is.
    for (let table = 0; table < 3 * at.TLB_MODES; table += 2) {
      this.#state.setWord(at.TLB_USED + 2 * table, 0x1_0001);
    }
    this.#state.setWord(at.FIRMWARE, options.firmware === undefined ? 0 : 1);
    this.#tellState();
    this.reset({ pc: BigInt(this.memory.base) });
  }

  get pc(): bigint {
    return this.#state.get(at.PC);
  }

  set pc(value: bigint) {
    this.#state.set(at.PC, value & ~1n);
  }

  get mode(): PrivilegeMode {
    return modeNames[this.#state.getWord(at.MODE)]!;
  }

  get instret(): number {
    return this.#executed + this.#slice - this.#state.getWord(at.REMAINING);
  }

  get time(): bigint {
    return this.#timers.time;
  }

  run(maxInstructions: number): RunExit {
    if (this.#interpreter === released) return 'stopped';
    let left = maxInstructions;
    this.#exit = 'budget';
    while (left > 0 && !this.#stopping) {
      if (this.#attention?.asked()) {
        this.#attention.lookUp(this);
        if (this.#stopping) break;
      }
      left -= this.#runSlice(Math.min(left, this.#timers.sliceLength(this.#jit !== undefined)));
      if (this.#exit !== 'budget') return this.#exit;
    }
    if (!this.#stopping) return 'budget';
    this.#stopping = false;
    return 'stopped';
  }

  requestStop(): void {
    this.#stopping = true;
    this.#endSlice();
  }

  readX(register: number): bigint {
    return this.#state.get(at.X + 8 * (register & 31));
  }

  writeX(register: number, value: bigint): void {
    if ((register & 31) !== 0) this.#state.set(at.X + 8 * (register & 31), value);
  }

  readF(register: number): bigint {
    return this.#state.get(at.F + 8 * (register & 31));
  }

  writeF(register: number, value: bigint): void {
    this.#state.set(at.F + 8 * (register & 31), value);
  }

  readCsr(number: number): bigint {
    return csrs.get(number)?.read(this.#csrs) ?? 0n;
  }

  writeCsr(number: number, value: bigint): void {
    csrs.get(number)?.write?.(this.#csrs, BigInt.asUintN(64, value));
  }

  setInterrupt(cause: number, asserted: boolean): void {
    const bit = 1n << BigInt(cause);
    const lines = this.#state.get(at.LINES);
    const updated = asserted ? lines | bit : lines & ~bit;
    if (updated === lines) return;
    this.#state.set(at.LINES, updated);
    this.#updatePending();
  }

  raiseSoftware(): void {
    this.#state.set(at.SOFT_PENDING, this.#state.get(at.SOFT_PENDING) | SSIP);
    this.#updatePending();
  }

  get interruptPending(): boolean {
    this.#updatePending();
    return (this.#state.get(at.MIP) & this.#state.get(at.MIE)) !== 0n;
  }

  skipTime(ticks: bigint): void {
    this.#timers.skipTo(ticks);
  }

  get mtimecmp(): bigint {
    return this.#state.get(at.MTIMECMP);
  }

  set mtimecmp(value: bigint) {
    this.#state.set(at.MTIMECMP, value);
    this.#updatePending();
  }

  get stimecmp(): bigint {
    return this.#state.get(at.STIMECMP);
  }

  set stimecmp(value: bigint) {
    this.#state.set(at.MENVCFG, this.#state.get(at.MENVCFG) | STCE);
    this.#state.set(at.STIMECMP, value);
    this.#updatePending();
  }

  nextTimer(): number | undefined {
    return this.#timers.next();
  }

  fenceCode(): void {
    if (this.#attention?.mayHaveWritten() !== false) this.#jit?.heap.dropChanged();
  }

  shareCode(): SharedCode | undefined {
    return this.#attention === undefined ? this.#jit?.share() : undefined;
  }

  adoptCode(code: SharedCode): void {
    this.#jit?.adopt(code);
  }

  get compiling(): number {
    return this.#jit?.busy ?? 0;
  }

  flushTlb(): void {
    this.#interpreter.flushAll();
  }

  flushSpace(): void {
    this.#interpreter.flushSpace();
  }

  flushPage(address: bigint): void {
    this.#interpreter.flushPage(address);
  }

  release(): void {
    this.#state.release();
    this.#jit?.release();
    this.#interpreter = released;
  }

  reset({ pc, a0 = 0n, a1 = 0n, mode = 'M' }: ResetState): void {
    const state = this.#state;
    for (let register = 0; register < 32; register++) {
      state.set(at.X + 8 * register, 0n);
      state.set(at.F + 8 * register, 0n);
    }
    for (let offset = at.MSTATUS; offset < at.STATE_END; offset += 8) {
      if (!survivesReset.has(offset)) state.set(offset, 0n);
    }
    state.set(at.MSTATUS, (2n << 32n) | (2n << 34n));
    state.set(at.STIMECMP, NEVER);
    state.set(at.MTIMECMP, NEVER);
    state.set(at.RESERVATION, NEVER);
    state.setWord(at.LEVELS, 0);
    state.setWord(at.MODE, modes[mode]);
    if (mode !== 'M') prepareSupervisor(state);
    this.pc = pc;
    this.writeX(10, BigInt.asUintN(64, a0));
    this.writeX(11, BigInt.asUintN(64, a1));
    this.#pmp.update();
    this.#interpreter.updateModes();
    this.flushTlb();
    this.#updatePending();
  }

  saveState(): Uint8Array {
    return writeState(this.#state, {
      instret: this.instret,
      skippedTicks: this.#timers.skippedTicks,
    });
  }

  restoreState(bytes: Uint8Array): void {
    const { instret, skippedTicks } = readState(bytes, this.#state);
    this.#tellState();
    this.#slice = 0;
    this.#executed = instret;
    this.#timers.skippedTicks = skippedTicks;
    this.#pmp.update();
    this.#interpreter.updateModes();
    this.flushTlb();
    this.#updatePending();
  }

  /** Puts into the state what is of this hart and its memory, whatever was saved. */
  #tellState(): void {
    this.#state.setWord(at.RAM_SIZE, this.memory.size);
    this.#state.setWord(at.BACKED, this.memory.backed ? 1 : 0);
    this.#state.setWord(at.ATTENTION, this.#attention?.place ?? 0);
  }

  /** Executes `budget` instructions or fewer; gives their number. */
  #runSlice(budget: number): number {
    let length = budget;
    const state = this.#state;
    if (this.#timers.isDue) this.#updatePending();
    this.#jit?.poll(this.#executed);
    this.#slice = length;
    state.setWord(at.REMAINING, length);
    try {
      this.#interpreter.run();
    } finally {
      // Also when a device threw: the instruction at hand is not done, but counted.
      length = this.#slice - state.getWord(at.REMAINING);
      this.#executed += length;
      this.#slice = 0;
      state.setWord(at.REMAINING, 0);
    }
    return length;
  }

  /** Makes the interpreter come back after the instruction at hand. */
  #endSlice(): void {
    this.#slice -= this.#state.getWord(at.REMAINING);
    this.#state.setWord(at.REMAINING, 0);
  }

  #updatePending(): void {
    this.#timers.updatePending();
  }

  #csrContext(): CsrContext {
    return {
      state: this.#state,
      pmp: this.#pmp,
      hartId: this.hartId,
      // During an instruction, REMAINING counts it as executed already.
      executed: () => BigInt(Math.max(0, this.instret - (this.#slice > 0 ? 1 : 0))),
      time: () => this.time,
      updatePending: () => this.#updatePending(),
      updateModes: () => this.#interpreter.updateModes(),
      flushTlb: () => this.#interpreter.flushAll(),
      flushSpace: () => this.#interpreter.flushSpace(),
    };
  }

  #imports({ memory, firmware }: HartOptions): Record<string, WebAssembly.ImportValue> {
    return {
      ...(memory.shared && { ram: memory.wasm }),
      ...busImports(this.#bus),
      csr: (number: number, action: number, reads: number, writes: number): number =>
        accessCsr(this.#csrs, number, action, reads !== 0, writes !== 0) ? 1 : 0,
      pmp: (address: bigint, size: number, kind: number, machine: number): number =>
        this.#pmp.check(BigInt.asUintN(64, address), size, kind as 0 | 1 | 2, machine !== 0),
      float: floatImport(this.#state),
      fillPage: (page: number) => (memory.shared ? memory.bringPage(page) : memory.fillPage(page)),
      ...(this.#jit?.imports() ?? withoutCode),
      fenceCode: () => this.fenceCode(),
      time: () => Math.floor(this.#timers.ticks),
      wait: () => this.#wait(),
      firmware: () => this.#callFirmware(firmware!),
    };
  }

  #wait(): void {
    this.#updatePending();
    if ((this.#state.get(at.MIP) & this.#state.get(at.MIE)) !== 0n) return;
    this.#exit = 'wfi';
    this.#endSlice();
  }

  #callFirmware(firmware: (hart: Hart) => void): void {
    const before = this.pc;
    firmware(this);
    if (this.pc === before) this.pc = before + 4n;
  }
}

/** Of a hart whose memory is another one's now. */
const released: Interpreter = {
  run: () => {},
  updateModes: () => {},
  flushAll: () => {},
  flushSpace: () => {},
  flushPage: () => {},
};

/** Slots that a reset of the hart leaves alone: levels of devices, and counts. */
const survivesReset: ReadonlySet<number> = new Set([at.LINES]);
