import type { GuestMemory } from './guest-memory.ts';
import type { CodeExchange } from './jit/code-exchange.ts';
import type { JitOptions } from './jit/options.ts';
import type { SharedCode } from './jit/shared-code.ts';

/**
 * Memory-mapped I/O: called for physical addresses outside RAM. Addresses are numbers (physical
 * addresses have 56 bits; those above 2^53 never reach the bus). Accesses are naturally aligned;
 * 8-byte ones arrive as two of 4 bytes, low half first.
 */
export interface Bus {
  /** Whether something answers at `address`. Where not, the access faults in the guest. */
  contains(address: number): boolean;
  /** Value read, zero-extended: 0 to 2^32 - 1 (a negative int32 is accepted too). */
  read(address: number, size: 1 | 2 | 4): number;
  /** `value` is unsigned, truncated to `size` bytes. */
  write(address: number, size: 1 | 2 | 4, value: number): void;
}

/** Ticks of mtime and of the `time` CSR per second. */
export const TIMEBASE_HZ = 10_000_000;

/**
 * What `time` follows. `real`: `now()` gives ticks of {@link TIMEBASE_HZ} since any origin, never
 * falling. `instructions`: a tick passes every `instructionsPerTick` (default 10) instructions
 * retired, so that two runs are bit-identical; while the hart sleeps, only
 * {@link Hart.skipTime} moves it.
 */
export type Clock =
  | { readonly kind: 'real'; now(): number }
  | { readonly kind: 'instructions'; readonly instructionsPerTick?: number };

/** How others make a running hart look up, where there are several. */
export interface Attention {
  /** Place in the shared memory of an i32, not 0 while the hart is to look up. */
  readonly place: number;
  /** Whether it is; called between slices. Lowers the word. */
  asked(): boolean;
  /** Whether others may have written to RAM since the last call. */
  mayHaveWritten(): boolean;
  /** Does what others want of the hart, between two instructions. */
  lookUp(hart: Hart): void;
}

export interface HartOptions {
  readonly memory: GuestMemory;
  readonly bus: Bus;
  /** mhartid. Default 0. */
  readonly hartId?: number;
  readonly clock: Clock;
  /**
   * Handles an ecall from S-mode in place of machine-mode firmware (SBI): arguments are in x10 to
   * x17, results are put there; the pc is moved past the ecall afterwards, unless the callback
   * set it or reset the hart. When absent, the ecall traps.
   */
  readonly firmware?: (hart: Hart) => void;
  /** Needed where `memory` is shared. */
  readonly attention?: Attention;
  /** Compile what is executed often, see `docs/decisions`. Default: all is interpreted. */
  readonly jit?: JitOptions;
  /** Where several harts share RAM: what one of them compiles is for all. Default: each compiles for itself. */
  readonly exchange?: CodeExchange;
}

/**
 * Why {@link Hart.run} came back. `budget`: the instructions asked for were executed. `wfi`: the
 * guest waits for an interrupt and none is pending. `stopped`: {@link Hart.requestStop}.
 */
export type RunExit = 'budget' | 'wfi' | 'stopped';

export type PrivilegeMode = 'U' | 'S' | 'M';

/** How a hart starts. All other registers are zero, TLBs empty, interrupts off. */
export interface ResetState {
  readonly pc: bigint;
  /** x10: by convention the hart id. */
  readonly a0?: bigint;
  /** x11: by convention the device tree's address, or `opaque` of SBI HSM. */
  readonly a1?: bigint;
  /**
   * Default M. With `S`, machine-level CSRs are left as firmware leaves them for a supervisor:
   * exceptions and S-level interrupts delegated, counters and Sstc enabled.
   */
  readonly mode?: PrivilegeMode;
}

/** Bits of mip/mie, and interrupt codes of xcause (Privileged spec, table "mcause values"). */
export const Interrupt = {
  supervisorSoftware: 1,
  machineSoftware: 3,
  supervisorTimer: 5,
  machineTimer: 7,
  supervisorExternal: 9,
  machineExternal: 11,
} as const;

/**
 * One RISC-V hart: RV64GC with Zicsr, Zifencei, Zba, Zbb, Zbs, Sstc; M, S and U; Sv39 and Sv48.
 *
 * @example
 * const memory = new GuestMemory(1 << 20);
 * memory.writeU32(0x8000_0000, 0x00150513); // addi a0, a0, 1
 * const hart = await createHart({ memory, bus, clock: { kind: 'instructions' } });
 * hart.reset({ pc: 0x8000_0000n, a0: 41n });
 * hart.run(1);
 * hart.readX(10); // 42n
 */
export interface Hart {
  readonly hartId: number;
  readonly memory: GuestMemory;
  /** Signed 64-bit view is never used: values are 0 to 2^64 - 1. */
  pc: bigint;
  /** Current privilege. */
  readonly mode: PrivilegeMode;
  /** Instructions retired since creation, as a number (exact below 2^53). Not the CSR `instret`. */
  readonly instret: number;

  /**
   * Executes at most `maxInstructions` (1 to 2^31 - 1) instructions, traps taken on the way
   * included. With `wfi` fewer were executed. Interrupts set from inside a bus access are taken
   * before the next instruction.
   */
  run(maxInstructions: number): RunExit;
  /** Makes the running (or the next) {@link run} return `stopped` soon. For bus and firmware callbacks. */
  requestStop(): void;

  /** Integer register 0 to 31, unsigned. Writes to x0 do nothing. */
  readX(register: number): bigint;
  writeX(register: number, value: bigint): void;
  /** Raw bits of a floating-point register. */
  readF(register: number): bigint;
  writeF(register: number, value: bigint): void;
  /** A CSR by number with machine-mode rights; 0 where there is none. */
  readCsr(number: number): bigint;
  /** Writes with machine-mode rights, WARL rules applied; ignored where there is none. */
  writeCsr(number: number, value: bigint): void;

  /** Sets the level of an interrupt line ({@link Interrupt}): MSIP, MTIP, MEIP, SEIP, SSIP, STIP. */
  setInterrupt(cause: number, asserted: boolean): void;
  /** Sets SSIP as software does, which the guest clears in sip: an IPI. */
  raiseSoftware(): void;
  /** Whether `wfi` would fall through: an interrupt enabled in mie is pending. */
  readonly interruptPending: boolean;

  /** Ticks now, as `time` reads them. */
  readonly time: bigint;
  /** For the `instructions` clock: moves time forward to at least `ticks`. No effect on `real`. */
  skipTime(ticks: bigint): void;
  /** Compared with time; MTIP follows. All ones (the reset value) means unarmed. */
  mtimecmp: bigint;
  /** As the CSR; STIP follows where menvcfg.STCE is set. Setting it sets STCE (for SBI TIME). */
  stimecmp: bigint;
  /** Tick of the earliest comparator still to come, for sleeping in WFI; undefined without one. */
  nextTimer(): number | undefined;

  /** Milliseconds of a processor that other threads took to compile for it. */
  readonly compiling: number;

  /** Forgets all translations (a remote fence; RAM layout changed under the hart). */
  flushTlb(): void;
  /** Those of the address spaces, whichever they are: what is global stays. */
  flushSpace(): void;
  /** Those of the page with a virtual address, in all address spaces. */
  flushPage(address: bigint): void;
  /** Leaves its memory to others: it can be looked at, and runs no more. */
  release(): void;
  /** Sees code that others wrote to shared RAM, as after a fence.i. */
  fenceCode(): void;
  /**
   * Code that was compiled and stands for RAM as it is now; undefined where nothing is compiled, or others
   * change RAM unnoticed.
   */
  shareCode(): SharedCode | undefined;
  /** Enters code that a hart shared whose RAM was, in all pages of that code, as this hart's is now. */
  adoptCode(code: SharedCode): void;
  /** Starts afresh at `state.pc`. Keeps {@link instret} and time. */
  reset(state: ResetState): void;
  /** Everything architectural, RAM excepted, as bytes in a format of this version. */
  saveState(): Uint8Array;
  /** @throws HartError `MACHINE_BAD_CONFIG` for bytes that {@link saveState} of this version did not make. */
  restoreState(state: Uint8Array): void;
}

// `createHart(options: HartOptions): Promise<Hart>` is in ./create.ts.
