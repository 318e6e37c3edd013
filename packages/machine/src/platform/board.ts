import { Clint } from '../devices/clint/device.ts';
import type { ByteSink } from '../devices/device.ts';
import { PciHost } from '../devices/pci/device.ts';
import { Plic } from '../devices/plic/device.ts';
import { Power, type PowerRequest } from '../devices/power/device.ts';
import { Rtc } from '../devices/rtc/device.ts';
import { Uart } from '../devices/uart/device.ts';
import type { VirtioDevice } from '../devices/virtio/device.ts';
import { VirtioPci } from '../devices/virtio/pci-transport.ts';
import { createHart } from '../hart/create.ts';
import { GuestMemory, type PageFiller } from '../hart/guest-memory.ts';
import { type Clock, type Hart, Interrupt, TIMEBASE_HZ } from '../hart/hart.ts';
import type { JitOptions } from '../hart/jit/jit.ts';
import { SystemBus } from './bus.ts';
import { interruptSource, memoryMap, PLIC_SOURCES } from './memory-map.ts';
import { sbiFirmware } from './sbi.ts';

export interface BoardOptions {
  /** Bytes of RAM. */
  readonly memorySize: number;
  /**
   * `real`: the host's time. `instructions`: time passes with instructions, from 1970-01-01 on, so
   * that two runs are bit-identical.
   */
  readonly clock: 'real' | 'instructions';
  /** Whether the host answers S-mode's calls (SBI). Without, programs run in M-mode on their own. */
  readonly firmware: boolean;
  readonly devices: readonly VirtioDevice[];
  /** What the serial port and the SBI debug console send. */
  readonly onSerial: ByteSink;
  /** Gives RAM its content at the first touch. Default: it is zero. */
  readonly fill?: PageFiller;
  /** See `HartOptions`. */
  readonly jit?: JitOptions;
  /** Where `time` starts on the `real` clock, in ticks. Default 0. */
  readonly startTicks?: number;
}

/** What a board tells its owner. */
export interface BoardEvents {
  /** The guest asked to be turned off or started again. */
  power(request: PowerRequest): void;
  /** An interrupt line went up: a sleeping hart may have to wake. */
  wake(): void;
  /** A device's host side failed. */
  fault(error: unknown): void;
}

/** The hart, RAM and devices, wired. Nothing runs by itself: the owner runs the hart. */
export class Board {
  readonly memory: GuestMemory;
  readonly hart: Hart;
  readonly uart: Uart;
  readonly rtc: Rtc;
  readonly clint: Clint;
  readonly plic: Plic;
  readonly pci: PciHost;
  readonly transports: readonly VirtioPci[];

  private constructor(
    options: BoardOptions,
    events: BoardEvents,
    bus: SystemBus,
    memory: GuestMemory,
    hart: Hart,
  ) {
    this.memory = memory;
    this.hart = hart;
    const line = (cause: number) => (asserted: boolean) => {
      hart.setInterrupt(cause, asserted);
      if (asserted) events.wake();
    };
    this.plic = new Plic(PLIC_SOURCES, [
      line(Interrupt.machineExternal),
      line(Interrupt.supervisorExternal),
    ]);
    this.uart = new Uart(options.onSerial, this.plic.line(interruptSource.uart));
    const wallClock =
      options.clock === 'real' ? Date.now : () => Number(hart.time) / (TIMEBASE_HZ / 1000);
    this.rtc = new Rtc(wallClock, this.plic.line(interruptSource.rtc));
    this.pci = new PciHost(memoryMap.pciMemory.base);
    this.transports = options.devices.map(
      (device) => new VirtioPci(memory, device, (error) => events.fault(error)),
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
    bus.map(memoryMap.power, new Power((request) => events.power(request)));
  }

  /** @throws HartError `MACHINE_BAD_CONFIG`, `MACHINE_NO_WASM` */
  static async create(options: BoardOptions, events: BoardEvents): Promise<Board> {
    const memory = new GuestMemory(options.memorySize, options.fill);
    const bus = new SystemBus();
    const firmware = sbiFirmware({
      memory,
      console: options.onSerial,
      shutdown: () => events.power({ kind: 'poweroff', code: 0 }),
      reset: () => events.power({ kind: 'reboot' }),
    });
    const hart = await createHart({
      memory,
      bus,
      clock: hartClock(options.clock, options.startTicks ?? 0),
      ...(options.firmware && { firmware }),
      ...(options.jit && { jit: options.jit }),
    });
    return new Board(options, events, bus, memory, hart);
  }

  /** Tells the devices that nothing will be delivered any more. */
  stop(): void {
    this.uart.stop();
    for (const { device } of this.transports) device.stop?.();
  }
}

function hartClock(kind: BoardOptions['clock'], start: number): Clock {
  if (kind === 'instructions') return { kind };
  const origin = performance.now();
  const ticksPerMillisecond = TIMEBASE_HZ / 1000;
  return {
    kind,
    now: () => start + Math.floor((performance.now() - origin) * ticksPerMillisecond),
  };
}
