import { MachineError } from '../../errors.ts';
import type { AccessSize, InterruptLine, MmioDevice } from '../device.ts';
import type { PciFunction } from './function.ts';
import * as R from './registers.ts';

interface Window {
  readonly base: number;
  readonly end: number;
  readonly device: MmioDevice;
}

/**
 * A PCI host bridge with one bus: configuration through ECAM, memory BARs anywhere in one window.
 * One function in each slot. The guest places the BARs.
 */
export class PciHost {
  /** Configuration space of bus 0. */
  readonly config: MmioDevice;
  /** The window for memory BARs; what no BAR claims reads as ones. */
  readonly memory: MmioDevice;
  readonly #memoryBase: number;
  readonly #functions: PciFunction[] = [];
  #windows: readonly Window[] = [];

  constructor(memoryBase: number) {
    this.#memoryBase = memoryBase;
    this.config = {
      read: (offset, size) => this.#readConfig(offset, size),
      write: (offset, size, value) => this.#writeConfig(offset, size, value),
    };
    this.memory = {
      read: (offset, size) => this.#readMemory(offset, size),
      write: (offset, size, value) => this.#writeMemory(offset, size, value),
    };
  }

  get functions(): readonly PciFunction[] {
    return this.#functions;
  }

  /**
   * Puts a function into the next free slot; `lineOf` gives the interrupt line of a slot's INTA.
   *
   * @throws MachineError `MACHINE_BAD_OPTION` when all slots are taken
   */
  add(pciFunction: PciFunction, lineOf: (slot: number) => InterruptLine): number {
    const slot = this.#functions.length;
    if (slot >= R.SLOTS) {
      throw new MachineError('MACHINE_BAD_OPTION', `Cannot add a PCI device: ${R.SLOTS} are there`);
    }
    this.#functions.push(pciFunction);
    pciFunction.connect(lineOf(slot));
    return slot;
  }

  /** Finds out again where BARs are: after configuration space was restored from outside. */
  remap(): void {
    this.#windows = this.#functions.flatMap((pciFunction) =>
      pciFunction.bars.flatMap((bar) => {
        const base = pciFunction.barAddress(bar);
        return base === undefined ? [] : [{ base, end: base + bar.size, device: bar.device }];
      }),
    );
  }

  #functionAt(offset: number): PciFunction | undefined {
    if ((offset >>> R.ECAM_FUNCTION_SHIFT) & 7) return undefined;
    return this.#functions[(offset >>> R.ECAM_SLOT_SHIFT) & (R.SLOTS - 1)];
  }

  #readConfig(offset: number, size: AccessSize): number {
    const found = this.#functionAt(offset);
    return found === undefined ? allOnes(size) : found.readConfig(offset & 0xfff, size);
  }

  #writeConfig(offset: number, size: AccessSize, value: number): void {
    const register = offset & 0xfff;
    this.#functionAt(offset)?.writeConfig(register, size, value);
    if (register < R.BAR_END) this.remap();
  }

  #windowAt(address: number): Window | undefined {
    return this.#windows.find((window) => address >= window.base && address < window.end);
  }

  #readMemory(offset: number, size: AccessSize): number {
    const address = this.#memoryBase + offset;
    const window = this.#windowAt(address);
    return window === undefined
      ? allOnes(size)
      : window.device.read(address - window.base, size) >>> 0;
  }

  #writeMemory(offset: number, size: AccessSize, value: number): void {
    const address = this.#memoryBase + offset;
    const window = this.#windowAt(address);
    window?.device.write(address - window.base, size, value);
  }
}

function allOnes(size: AccessSize): number {
  return size === 4 ? 0xffff_ffff : (1 << (8 * size)) - 1;
}
