import { MachineError } from '../../errors.ts';
import type { AccessSize, InterruptLine, MmioDevice } from '../device.ts';
import * as R from './registers.ts';

export interface PciHeader {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly subsystemVendorId: number;
  readonly subsystemId: number;
  readonly revision: number;
  /** Class, subclass and programming interface: 24 bits. */
  readonly classCode: number;
}

/** A 64-bit memory BAR in registers `index` and `index + 1`. */
export interface Bar {
  /** 0 to 4. */
  readonly index: number;
  /** A power of two, at least 4096. */
  readonly size: number;
  readonly device: MmioDevice;
  /** Memory without side effects. Default false. */
  readonly prefetchable?: boolean;
}

/** Sees configuration accesses before the plain registers do; undefined or false: not mine. */
export interface ConfigHook {
  read(offset: number, size: AccessSize): number | undefined;
  write(offset: number, size: AccessSize, value: number): boolean;
}

/** One PCI function: configuration space with BARs and capabilities, and its INTA pin. */
export class PciFunction {
  readonly state = {
    config: new Uint8Array(R.CONFIG_SIZE),
    interrupt: false,
  };
  readonly bars: readonly Bar[];
  /** Set where a capability has registers with side effects. */
  hook: ConfigHook | undefined;
  readonly #view: DataView;
  /** Bits of the configuration space that the guest may change. */
  readonly #writable = new Uint8Array(R.CONFIG_SIZE);
  #lastCapability = 0;
  #nextFree = R.HEADER_SIZE;
  #line: InterruptLine = () => {};

  constructor(header: PciHeader, bars: readonly Bar[]) {
    this.bars = bars;
    this.#view = new DataView(this.state.config.buffer);
    this.#view.setUint16(R.VENDOR_ID, header.vendorId, true);
    this.#view.setUint16(R.DEVICE_ID, header.deviceId, true);
    this.#view.setUint32(R.REVISION_ID, header.revision | (header.classCode << 8), true);
    this.#view.setUint16(R.SUBSYSTEM_VENDOR_ID, header.subsystemVendorId, true);
    this.#view.setUint16(R.SUBSYSTEM_ID, header.subsystemId, true);
    this.state.config[R.INTERRUPT_PIN] = 1;
    this.#allow(R.COMMAND, R.COMMAND_MEMORY | R.COMMAND_MASTER | R.COMMAND_INTERRUPT_DISABLE, 2);
    this.#allow(R.INTERRUPT_LINE, 0xff, 1);
    for (const bar of bars) {
      const at = R.BAR_0 + bar.index * 4;
      this.#view.setUint32(at, R.BAR_MEMORY_64 | (bar.prefetchable ? R.BAR_PREFETCHABLE : 0), true);
      this.#allow(at, ~(bar.size - 1), 4);
      this.#allow(at + 4, 0xffff_ffff, 4);
    }
  }

  connect(line: InterruptLine): void {
    this.#line = line;
  }

  /**
   * Appends a capability; `body` is what follows the id and the next pointer, `writable` the bits of
   * it that the guest may change. Returns the capability's offset.
   */
  addCapability(id: number, body: Uint8Array, writable?: Uint8Array): number {
    const at = this.#nextFree;
    const next = (at + 2 + body.length + 3) & ~3;
    if (next > R.CONFIG_SIZE) {
      throw new MachineError('MACHINE_BAD_OPTION', `Cannot add PCI capability ${id}: no room`);
    }
    const { config } = this.state;
    config[at] = id;
    config.set(body, at + 2);
    if (writable !== undefined) this.#writable.set(writable, at + 2);
    config[this.#lastCapability === 0 ? R.CAPABILITIES : this.#lastCapability + 1] = at;
    config[R.STATUS] = config[R.STATUS]! | R.STATUS_CAPABILITIES;
    this.#lastCapability = at;
    this.#nextFree = next;
    return at;
  }

  setInterrupt(asserted: boolean): void {
    this.state.interrupt = asserted;
    this.#update();
  }

  /** Where a BAR is mapped, or undefined while memory decoding is off. */
  barAddress(bar: Bar): number | undefined {
    if (!(this.#view.getUint16(R.COMMAND, true) & R.COMMAND_MEMORY)) return undefined;
    const at = R.BAR_0 + bar.index * 4;
    const low = (this.#view.getUint32(at, true) & ~0xf) >>> 0;
    return this.#view.getUint32(at + 4, true) * 0x1_0000_0000 + low;
  }

  readConfig(offset: number, size: AccessSize): number {
    if (offset + size > R.CONFIG_SIZE) return 0;
    const hooked = this.hook?.read(offset, size);
    if (hooked !== undefined) return hooked;
    if (size === 1) return this.#view.getUint8(offset);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint32(offset, true);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (offset + size > R.CONFIG_SIZE) return;
    for (let i = 0; i < size; i++) {
      const mask = this.#writable[offset + i]!;
      const kept = this.state.config[offset + i]! & ~mask;
      this.state.config[offset + i] = kept | ((value >>> (8 * i)) & mask);
    }
    this.hook?.write(offset, size, value);
    this.#update();
  }

  #allow(offset: number, mask: number, size: number): void {
    for (let i = 0; i < size; i++) this.#writable[offset + i] = mask >>> (8 * i);
  }

  #update(): void {
    const { config, interrupt } = this.state;
    const status = config[R.STATUS]! & ~R.STATUS_INTERRUPT;
    config[R.STATUS] = status | (interrupt ? R.STATUS_INTERRUPT : 0);
    const disabled = this.#view.getUint16(R.COMMAND, true) & R.COMMAND_INTERRUPT_DISABLE;
    this.#line(interrupt && !disabled);
  }
}
