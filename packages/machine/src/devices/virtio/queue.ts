import { MachineError } from '../../errors.ts';
import type { GuestMemory } from '../../hart/guest-memory.ts';
import type { DescriptorChain } from './chain.ts';
import {
  AVAIL_NO_INTERRUPT,
  DESC_INDIRECT,
  DESC_NEXT,
  DESC_WRITE,
  DESCRIPTOR_SIZE,
} from './registers.ts';

interface Building {
  readonly readable: { readonly address: number; length: number }[];
  readonly writable: { readonly address: number; length: number }[];
  readableLength: number;
  writableLength: number;
  /** Buffers met so far: a chain longer than the queue is a loop or a lie. */
  count: number;
}

/**
 * The device's side of a split virtqueue (VIRTIO 1.2, 2.7). Everything read from guest memory is
 * checked; what breaks the rules raises `MACHINE_DEVICE_MISUSED`, which the transport turns into
 * DEVICE_NEEDS_RESET.
 */
export class Virtqueue {
  readonly state;
  readonly #memory: GuestMemory;
  readonly #maxSize: number;
  readonly #interrupt: () => void;

  /** @param maxSize a power of two up to 32768 */
  constructor(memory: GuestMemory, maxSize: number, interrupt: () => void) {
    this.#memory = memory;
    this.#maxSize = maxSize;
    this.#interrupt = interrupt;
    this.state = { ...initialState(maxSize), generation: 0 };
  }

  get maxSize(): number {
    return this.#maxSize;
  }

  /** Back to the state after power-on; chains taken before are void. */
  reset(): void {
    Object.assign(this.state, initialState(this.#maxSize));
    this.state.generation++;
  }

  enable(eventIndex: boolean, indirect: boolean): void {
    const { state } = this;
    const misaligned = state.descriptors % 16 || state.driver % 2 || state.device % 4;
    const inRam =
      this.#memory.contains(state.descriptors, DESCRIPTOR_SIZE * state.size) &&
      this.#memory.contains(state.driver, 6 + 2 * state.size) &&
      this.#memory.contains(state.device, 6 + 8 * state.size);
    if (misaligned || !inRam) throw misused('a virtqueue that does not lie in RAM');
    Object.assign(state, { enabled: true, eventIndex, indirect });
  }

  /** Checks a state that was set from outside as one that a driver sets. */
  restored(): void {
    const { state } = this;
    const { size, nextAvailable, nextUsed } = state;
    const sane =
      size > 0 && (size & (size - 1)) === 0 && size <= this.#maxSize && nextAvailable <= 0xffff;
    if (!sane || nextUsed > 0xffff) throw misused('a state that no virtqueue has');
    if (state.enabled) this.enable(state.eventIndex, state.indirect);
  }

  /** Whether the driver has made buffers available that were not taken. */
  get hasNext(): boolean {
    const { state } = this;
    return state.enabled && this.#memory.readU16(state.driver + 2) !== state.nextAvailable;
  }

  /** Takes the next chain, or undefined when there is none. */
  pop(): DescriptorChain | undefined {
    const { state } = this;
    if (!state.enabled) return undefined;
    const available = this.#memory.readU16(state.driver + 2);
    const count = (available - state.nextAvailable) & 0xffff;
    if (count === 0) return undefined;
    if (count > state.size) throw misused(`${count} chains available in a queue of ${state.size}`);
    const slot = state.nextAvailable & (state.size - 1);
    const head = this.#memory.readU16(state.driver + 4 + 2 * slot);
    const chain = this.#chain(head);
    state.nextAvailable = (state.nextAvailable + 1) & 0xffff;
    // Says up to where we have seen; the driver notifies when it goes past.
    if (state.eventIndex) {
      this.#memory.writeU16(state.device + 4 + 8 * state.size, state.nextAvailable);
    }
    return chain;
  }

  /**
   * Undoes the last `count` calls of {@link pop}, whose chains were not completed. The driver still
   * notifies when it adds to what was seen.
   */
  putBack(count: number): void {
    this.state.nextAvailable = (this.state.nextAvailable - count) & 0xffff;
  }

  /** Gives a chain back with `written` bytes put into its writable buffers. */
  complete(chain: DescriptorChain, written: number): void {
    this.completeTogether([chain], written);
  }

  /**
   * Gives chains back that were filled one after another with `written` bytes together. The driver sees
   * all of them or none.
   */
  completeTogether(chains: readonly DescriptorChain[], written: number): void {
    const { state } = this;
    if (!state.enabled || chains.some(({ generation }) => generation !== state.generation)) return;
    let left = written;
    for (const [index, { head, writableLength }] of chains.entries()) {
      const slot = (state.nextUsed + index) & (state.size - 1);
      const element = state.device + 4 + 8 * slot;
      const part = Math.min(left, writableLength);
      this.#memory.writeU32(element, head);
      this.#memory.writeU32(element + 4, part);
      left -= part;
    }
    const old = state.nextUsed;
    state.nextUsed = (old + chains.length) & 0xffff;
    this.#memory.writeU16(state.device + 2, state.nextUsed);
    if (this.#wantsInterrupt(old)) this.#interrupt();
  }

  #wantsInterrupt(old: number): boolean {
    const { state } = this;
    if (!state.eventIndex) {
      return (this.#memory.readU16(state.driver) & AVAIL_NO_INTERRUPT) === 0;
    }
    const event = this.#memory.readU16(state.driver + 4 + 2 * state.size);
    return ((state.nextUsed - event - 1) & 0xffff) < ((state.nextUsed - old) & 0xffff);
  }

  #chain(head: number): DescriptorChain {
    const { descriptors, size, generation } = this.state;
    const building: Building = {
      readable: [],
      writable: [],
      readableLength: 0,
      writableLength: 0,
      count: 0,
    };
    this.#walk(building, descriptors, size, head, this.state.indirect);
    const { readable, writable, readableLength, writableLength } = building;
    return { head, generation, readable, writable, readableLength, writableLength };
  }

  #walk(out: Building, table: number, length: number, first: number, indirect: boolean): void {
    const memory = this.#memory;
    const start = memory.placeOf(table, DESCRIPTOR_SIZE * length);
    const { view } = memory;
    for (let index = first; ; ) {
      if (index >= length) throw misused(`descriptor ${index} of ${length}`);
      const at = start + DESCRIPTOR_SIZE * index;
      const address = view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
      const bytes = view.getUint32(at + 8, true);
      const flags = view.getUint16(at + 12, true);
      if (!memory.contains(address, bytes)) throw misused('a buffer that does not lie in RAM');
      if (flags & DESC_INDIRECT) {
        // All of it is brought into RAM: it must not be longer than a chain may be (2.7.5.3.1).
        const most = this.#maxSize * DESCRIPTOR_SIZE;
        const badTable = bytes === 0 || bytes % DESCRIPTOR_SIZE !== 0 || bytes > most;
        if (!indirect || badTable || flags & DESC_NEXT) throw misused('a bad indirect table');
        // An indirect table must not name another one (2.7.5.3.1): the flag is off below.
        this.#walk(out, address, bytes / DESCRIPTOR_SIZE, 0, false);
        return;
      }
      if (++out.count > this.#maxSize) throw misused('a chain longer than its queue');
      addSegment(out, address, bytes, (flags & DESC_WRITE) !== 0);
      if (!(flags & DESC_NEXT)) return;
      index = view.getUint16(at + 14, true);
    }
  }
}

function addSegment(out: Building, address: number, length: number, write: boolean): void {
  if (write) out.writableLength += length;
  else if (out.writable.length > 0) throw misused('a readable buffer behind a writable one');
  else out.readableLength += length;
  const segments = write ? out.writable : out.readable;
  const last = segments.at(-1);
  // A kernel names pages, also of a range that is in one piece.
  if (last !== undefined && last.address + last.length === address) last.length += length;
  else segments.push({ address, length });
}

function initialState(size: number) {
  return {
    size,
    enabled: false,
    eventIndex: false,
    indirect: false,
    /** Physical addresses of the three parts. */
    descriptors: 0,
    driver: 0,
    device: 0,
    /** Running indexes, 16 bits. */
    nextAvailable: 0,
    nextUsed: 0,
  };
}

export function misused(what: string): MachineError {
  return new MachineError('MACHINE_DEVICE_MISUSED', `Cannot serve the virtio device: ${what}`);
}
