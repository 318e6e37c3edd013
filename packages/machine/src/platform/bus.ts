import type { AccessSize, MmioDevice } from '../devices/device.ts';
import type { Bus } from '../hart/hart.ts';
import type { Region } from './memory-map.ts';

interface Mapping extends Region {
  readonly end: number;
  readonly device: MmioDevice;
}

/** Routes physical addresses outside RAM to devices. */
export class SystemBus implements Bus {
  readonly #mappings: Mapping[] = [];
  /** The device met last: guests poll and acknowledge one device in a row. */
  #last: Mapping | undefined;

  /** Regions must not overlap; the first one mapped would win. */
  map(region: Region, device: MmioDevice): void {
    this.#mappings.push({ ...region, end: region.base + region.size, device });
  }

  contains(address: number): boolean {
    return this.#find(address) !== undefined;
  }

  read(address: number, size: AccessSize): number {
    const mapping = this.#find(address);
    return mapping === undefined ? 0 : mapping.device.read(address - mapping.base, size);
  }

  write(address: number, size: AccessSize, value: number): void {
    const mapping = this.#find(address);
    mapping?.device.write(address - mapping.base, size, value >>> 0);
  }

  #find(address: number): Mapping | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.base && address < last.end) return last;
    const found = this.#mappings.find((m) => address >= m.base && address < m.end);
    if (found !== undefined) this.#last = found;
    return found;
  }
}
