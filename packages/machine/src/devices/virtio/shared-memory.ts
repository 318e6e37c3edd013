import { HartError } from '../../hart/errors.ts';
import type { GuestMemory } from '../../hart/guest-memory.ts';

/**
 * Memory that a device shares with its driver (VIRTIO 1.2, 2.10), for the life of one machine. It is
 * RAM, and a BAR: the device tree does not name it as memory, so that the kernel leaves it to the
 * driver, and snapshots and forks have it with the rest.
 */
export class SharedMemory {
  #memory: GuestMemory | undefined;
  #base = 0;
  #size = 0;

  /** Bytes: a power of two; 0 before the machine was made, and where it has no room for this. */
  get size(): number {
    return this.#size;
  }

  /** For the board: where it lies, by physical address. */
  place(memory: GuestMemory, base: number, size: number): void {
    this.#memory = memory;
    this.#base = base;
    this.#size = size;
  }

  /**
   * Bytes from `offset` on, to be written at once and not kept: see `GuestMemory.writable`.
   *
   * @throws HartError `MACHINE_BAD_ADDRESS` where they do not lie within
   */
  at(offset: number, length: number): Uint8Array {
    const memory = this.#memory;
    const within = offset >= 0 && length >= 0 && offset + length <= this.#size;
    if (memory === undefined || !within) {
      throw new HartError(
        'MACHINE_BAD_ADDRESS',
        `Cannot share ${length} bytes at ${offset}: ${this.#size} are shared`,
        { details: { offset, length, size: this.#size } },
      );
    }
    return memory.writable(this.#base + offset, length);
  }
}
