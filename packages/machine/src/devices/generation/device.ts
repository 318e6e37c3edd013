import type { AccessSize, InterruptLine, MmioDevice } from '../device.ts';
import { ID_SIZE } from './registers.ts';

/**
 * Tells the guest that it is a copy of a machine, as others may be: by an id that is another one than before,
 * and an interrupt. Linux (drivers/virt/vmgenid.c) then seeds its random numbers anew, before any program
 * draws from them. Reading the id lowers the line. The device tree's binding is "microsoft,vmgenid".
 */
export class Generation implements MmioDevice {
  readonly state = {
    /** Zeros in a machine that is no copy. */
    id: new Uint8Array(ID_SIZE),
    /** The guest has not seen the id yet. */
    isNew: false,
  };
  readonly #line: InterruptLine;

  constructor(line: InterruptLine) {
    this.#line = line;
  }

  /** @param fill gives 16 bytes that no other machine has */
  renew(fill: (id: Uint8Array<ArrayBuffer>) => void): void {
    fill(this.state.id);
    this.state.isNew = true;
    this.#line(true);
  }

  read(offset: number, size: AccessSize): number {
    if (offset + size > ID_SIZE) return 0;
    this.state.isNew = false;
    this.#line(false);
    const view = new DataView(this.state.id.buffer);
    if (size === 1) return view.getUint8(offset);
    return size === 2 ? view.getUint16(offset, true) : view.getUint32(offset, true);
  }

  write(): void {}
}
