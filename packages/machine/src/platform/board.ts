import { Clint } from '../devices/clint/device.ts';
import type { ByteSink } from '../devices/device.ts';
import { Generation } from '../devices/generation/device.ts';
import { PciHost } from '../devices/pci/device.ts';
import { Plic } from '../devices/plic/device.ts';
import { Power, type PowerRequest } from '../devices/power/device.ts';
import { Rtc } from '../devices/rtc/device.ts';
import { Uart } from '../devices/uart/device.ts';
import type { VirtioDevice } from '../devices/virtio/device.ts';
import { VirtioPci } from '../devices/virtio/pci-transport.ts';
import { createHart } from '../hart/create.ts';
import { GuestMemory, type PageFiller } from '../hart/guest-memory.ts';
import { type Hart, Interrupt, TIMEBASE_HZ } from '../hart/hart.ts';
import type { JitOptions } from '../hart/jit/options.ts';
import { sharedNow } from '../harts/clock.ts';
import { Crew } from '../harts/crew.ts';
import { SystemBus } from './bus.ts';
import { interruptSource, memoryMap, PLIC_SOURCES } from './memory-map.ts';
import { sbiFirmware } from './sbi.ts';
import { soleHart } from './sbi-harts.ts';
import { placeWindows } from './windows.ts';

export interface BoardOptions {
  /** Bytes of RAM, the devices' shared memory included. */
  readonly memorySize: number;
  /**
   * `real`: the host's time. `instructions`: time passes with instructions, from 1970-01-01 on, so
   * that two runs are bit-identical.
   */
  readonly clock: 'real' | 'instructions';
  /** Whether the host answers S-mode's calls (SBI). Without, programs run in M-mode on their own. */
  readonly firmware: boolean;
  readonly devices: readonly VirtioDevice[];
  /**
   * Bytes of the devices' shared memory, by slot, which are the last ones of RAM: see {@link withWindows}.
   * Default: none.
   */
  readonly windows?: readonly number[];
  /** What the serial port and the SBI debug console send. */
  readonly onSerial: ByteSink;
  /** Gives RAM its content at the first touch. Default: it is zero. */
  readonly fill?: PageFiller;
  /** See `HartOptions`. */
  readonly jit?: JitOptions;
  /** Where `time` starts on the `real` clock, in ticks. Default 0. */
  readonly startTicks?: number;
  /** Harts, 1 to 16. Default 1. Several need the `real` clock and the firmware. */
  readonly cpus?: number;
}

const TICKS_PER_MS = TIMEBASE_HZ / 1000;
/** The PLIC's context of S-mode of hart 0. */
const HART_0_S = 1;
/**
 * Chains that devices take between two looks of the host at what else there is to do. Counted, not timed:
 * with the clock of instructions slices end where they ended in another run.
 */
const MOST_CHAINS = 256;

/** What a board tells its owner. */
export interface BoardEvents {
  /** The guest asked to be turned off or started again. */
  power(request: PowerRequest): void;
  /** An interrupt line went up: a sleeping hart may have to wake. */
  wake(): void;
  /** A device's host side failed. */
  fault(error: unknown): void;
}

/**
 * Harts, RAM and devices, wired. Nothing runs by itself: the owner runs hart 0, and starts the crew where
 * there are more.
 */
export class Board {
  readonly memory: GuestMemory;
  /** Hart 0. */
  readonly hart: Hart;
  /** The other harts, where there are any. */
  readonly crew: Crew | undefined;
  readonly uart: Uart;
  readonly rtc: Rtc;
  readonly generation: Generation;
  readonly clint: Clint;
  readonly plic: Plic;
  readonly pci: PciHost;
  readonly transports: readonly VirtioPci[];
  /** Chains that devices took, up to {@link MOST_CHAINS}. */
  #chains = 0;

  private constructor(
    options: BoardOptions,
    events: BoardEvents,
    bus: SystemBus,
    memory: GuestMemory,
    hart: Hart,
    crew: Crew | undefined,
  ) {
    this.memory = memory;
    this.hart = hart;
    this.crew = crew;
    const line = (cause: number) => (asserted: boolean) => {
      hart.setInterrupt(cause, asserted);
      if (asserted) events.wake();
    };
    this.plic = new Plic(PLIC_SOURCES, [
      line(Interrupt.machineExternal),
      line(Interrupt.supervisorExternal),
      ...(crew?.links.slice(1) ?? []).flatMap((link) => [
        (asserted: boolean) => link.setLine(Interrupt.machineExternal, asserted),
        (asserted: boolean) => link.setLine(Interrupt.supervisorExternal, asserted),
      ]),
    ]);
    this.uart = new Uart(options.onSerial, this.plic.line(interruptSource.uart));
    const wallClock = options.clock === 'real' ? Date.now : () => Number(hart.time) / TICKS_PER_MS;
    this.rtc = new Rtc(wallClock, this.plic.line(interruptSource.rtc));
    const tellGeneration = this.plic.line(interruptSource.generation);
    this.generation = new Generation((asserted) => {
      tellGeneration(asserted);
      if (!asserted) crew?.release();
    });
    this.pci = new PciHost(memoryMap.pciMemory.base);
    placeWindows(memory, options.devices, options.windows ?? []);
    this.transports = options.devices.map(
      (device) =>
        new VirtioPci(memory, device, {
          fault: (error) => events.fault(error),
          served: () => this.#served(),
        }),
    );
    for (const { pci } of this.transports) {
      this.pci.add(pci, (slot) => this.plic.line(interruptSource.pci + slot));
    }
    bus.map(memoryMap.plic, this.plic);
    bus.map(memoryMap.pciMemory, this.pci.memory);
    bus.map(memoryMap.pciConfig, this.pci.config);
    bus.map(memoryMap.uart, this.uart);
    this.clint = new Clint(hart);
    bus.map(memoryMap.clint, this.clint);
    bus.map(memoryMap.rtc, this.rtc);
    bus.map(memoryMap.generation, this.generation);
    bus.map(memoryMap.power, new Power((request) => events.power(request)));
  }

  /** @throws HartError `MACHINE_BAD_CONFIG`, `MACHINE_NO_WASM` */
  static async create(options: BoardOptions, events: BoardEvents): Promise<Board> {
    const { memorySize, fill, startTicks = 0, cpus = 1, jit } = options;
    const memory = new GuestMemory(memorySize, fill, cpus > 1 ? {} : undefined);
    const bus = new SystemBus();
    const host = {
      memory,
      console: options.onSerial,
      shutdown: () => events.power({ kind: 'poweroff', code: 0 }),
      reset: () => events.power({ kind: 'reboot' }),
    };
    const now = cpus > 1 ? sharedNow : () => performance.now();
    const origin = now() - startTicks / TICKS_PER_MS;
    const onFailure = (error: unknown) => events.fault(error);
    const crew =
      cpus > 1 ? await Crew.create({ count: cpus, memory, jit, origin, onFailure }) : undefined;
    crew?.serve(bus, host);
    const hart = await createHart({
      memory,
      bus,
      clock:
        options.clock === 'instructions'
          ? { kind: 'instructions' }
          : { kind: 'real', now: () => Math.floor((now() - origin) * TICKS_PER_MS) },
      ...(crew && { attention: crew.harts }),
      ...(crew?.exchange && { exchange: crew.exchange }),
      ...(options.firmware && {
        firmware: sbiFirmware({ ...host, harts: crew?.harts ?? soleHart }),
      }),
      ...(jit && { jit }),
    });
    return new Board(options, events, bus, memory, hart, crew);
  }

  /**
   * Before the start: tells the guest that it is a copy of a machine. Hart 0 looks into that first, where it
   * listens to the interrupt.
   */
  renew(): void {
    this.generation.renew((id) => void crypto.getRandomValues(id));
    if (this.plic.hears(HART_0_S, interruptSource.generation)) this.crew?.hold();
  }

  /** A slice of hart 0 ends after so many, so that the host's loop has its turns. */
  #served(): void {
    this.#chains = (this.#chains + 1) % MOST_CHAINS;
    if (this.#chains === 0) this.hart.requestStop();
  }

  /** Tells the devices that nothing will be delivered any more, and ends the other harts. */
  async stop(): Promise<void> {
    this.uart.stop();
    for (const { device } of this.transports) device.stop?.();
    await this.crew?.stop();
  }

  /** Leaves its memory to other machines, once it was stopped. */
  release(): void {
    this.hart.release();
    this.memory.release();
  }
}
