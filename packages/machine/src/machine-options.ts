import type { CallOptions } from '@anole/bytes';
import type { ByteSink } from './devices/device.ts';
import type { VirtioDevice } from './devices/virtio/device.ts';
import type { RandomSource } from './devices/virtio-rng/device.ts';
import { MachineError } from './errors.ts';
import type { JitOptions } from './hart/jit/options.ts';
import { MAX_HARTS } from './harts/layout.ts';
import { repeatableRandom } from './run/repeatable-random.ts';
import type { Snapshot } from './snapshot/read.ts';
import type { SnapshotOptions } from './snapshot/write.ts';

/** What a machine is made of, and when it is taken. `Machine` has them. */

export interface MachineOptions {
  /** A Linux `Image` for riscv64. */
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  /** For the kernel. `panic=-1` is added unless it says otherwise: a panic then ends the machine. */
  readonly commandLine?: string;
  /** RAM in MiB. Default 512. */
  readonly memoryMiB?: number;
  /** On PCI, in slots 0, 1, ... in this order. */
  readonly devices?: readonly VirtioDevice[];
  /** What the serial port (`ttyS0`) and the SBI debug console (`earlycon=sbi`) send. */
  readonly onSerial?: ByteSink;
  /**
   * `real` (default): guest time is the host's. `instructions`: time passes with instructions, and
   * with the same files and devices two runs are bit-identical.
   */
  readonly clock?: 'real' | 'instructions';
  /**
   * Compile guest code that is executed often to WebAssembly: faster, and the guest cannot tell.
   * Default true. What it costs and where it ends: `docs/decisions/0026-compiled-regions.md`.
   */
  readonly jit?: boolean | JitOptions;
  /**
   * Harts, 1 to 16. Default 1. Each one beyond the first has a thread, so several need shared memory
   * (in browsers a page that is `crossOriginIsolated`) and the `real` clock: no two runs are alike.
   */
  readonly cpus?: number;
  /** Seeds the kernel's random numbers. Default: the host's, or a fixed sequence for `instructions`. */
  readonly random?: RandomSource;
}

/** What a restored machine gets anew: all else is in the snapshot. */
export interface RestoreOptions extends Pick<MachineOptions, 'devices' | 'onSerial' | 'jit'> {
  readonly snapshot: Snapshot;
  /**
   * Tell the guest that it is a copy, so that it has random numbers of its own. Default: with the `real`
   * clock. Never with that of instructions, by which it goes on as the one that was saved.
   */
  readonly isCopy?: boolean;
}

/** At which moment a machine is taken. */
export interface RestOptions extends Pick<CallOptions, 'signal'> {
  /** Wait until the guest waits, too: for templates. Default false. */
  readonly whenIdle?: boolean;
  /** Wait until this is true, too: nothing is under way behind the devices. */
  readonly quiet?: () => boolean;
}

export interface ForkOptions extends RestOptions {
  /** Take compiled code, too: for a machine that goes on in this process. Default true. */
  readonly code?: boolean;
}

export interface SaveOptions extends SnapshotOptions, RestOptions {}

/** How a machine ended. */
export type MachineExit =
  | {
      readonly reason: 'poweroff' /** 0 unless the guest reported a failure. */;
      readonly code: number;
    }
  | { readonly reason: 'reboot' }
  | {
      readonly reason: 'panic' /** What the kernel gave as its reason. */;
      readonly message: string;
    }
  | { readonly reason: 'stopped' };

export type ClockKind = NonNullable<MachineOptions['clock']>;

const RANDOM_SEED_SIZE = 64;
const MIB = 0x10_0000;

/** Bytes of RAM. @throws MachineError `MACHINE_BAD_OPTION` */
export function memorySize(mebibytes: number): number {
  if (!Number.isInteger(mebibytes) || mebibytes < 64) {
    throw new MachineError('MACHINE_BAD_OPTION', `Cannot give the machine ${mebibytes} MiB`, {
      hint: 'give a whole number of MiB, at least 64',
    });
  }
  return mebibytes * MIB;
}

/** @throws MachineError `MACHINE_BAD_OPTION` */
export function checkCpus(cpus: number, clock: ClockKind): void {
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > MAX_HARTS) {
    throw new MachineError('MACHINE_BAD_OPTION', `Cannot give the machine ${cpus} harts`, {
      hint: `give 1 to ${MAX_HARTS}`,
    });
  }
  if (cpus > 1 && clock === 'instructions') {
    throw new MachineError(
      'MACHINE_BAD_OPTION',
      `Cannot repeat a run of ${cpus} harts: each has a thread, and they never meet alike`,
      { hint: 'give one hart for the clock of instructions' },
    );
  }
}

/** A kernel's command line by which a panic ends the machine. */
export function withPanic(commandLine: string): string {
  return /(^|\s)panic=/.test(commandLine) ? commandLine : `${commandLine} panic=-1`.trim();
}

/** What the kernel's random numbers begin with. */
export function randomSeed(options: MachineOptions, clock: ClockKind): Uint8Array {
  const seed = new Uint8Array(RANDOM_SEED_SIZE);
  const hostRandom: RandomSource = (bytes) => void crypto.getRandomValues(bytes);
  const random = options.random ?? (clock === 'instructions' ? repeatableRandom() : hostRandom);
  random(seed);
  return seed;
}
