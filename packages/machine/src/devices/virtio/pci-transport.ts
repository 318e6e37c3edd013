import { AnoleError } from '@anole/bytes';
import type { GuestMemory } from '../../hart/guest-memory.ts';
import type { AccessSize, MmioDevice } from '../device.ts';
import { type Bar, PciFunction } from '../pci/function.ts';
import type { DescriptorChain } from './chain.ts';
import { CommonConfig } from './common-config.ts';
import type { VirtioDevice, VirtioHost } from './device.ts';
import { addVirtioCapabilities } from './pci-capabilities.ts';
import { Virtqueue } from './queue.ts';
import * as R from './registers.ts';

/** What a device tells its board. */
export interface TransportEvents {
  /** See {@link VirtioHost.fault}. */
  fault(error: unknown): void;
  /** The device takes a chain: called in the middle of the guest's instruction, as a rule. */
  served(): void;
}

/**
 * Puts a {@link VirtioDevice} on PCI (VIRTIO 1.2, 4.1), modern interface only, with INTA for
 * interrupts. A driver that breaks the rules gets DEVICE_NEEDS_RESET and silence until it resets.
 */
export class VirtioPci implements VirtioHost {
  readonly memory: GuestMemory;
  readonly device: VirtioDevice;
  readonly pci: PciFunction;
  readonly common: CommonConfig;
  readonly #events: TransportEvents;
  readonly #queues: readonly Virtqueue[];
  /** Queues in which more is than was served at once. */
  readonly #later = new Set<number>();
  readonly state = { isr: 0 };

  constructor(memory: GuestMemory, device: VirtioDevice, events: TransportEvents) {
    this.memory = memory;
    this.#events = events;
    this.device = device;
    const interrupt = () => this.#raise(R.ISR_QUEUE);
    this.#queues = device.queueSizes.map((size) => new Virtqueue(memory, size, interrupt));
    this.common = new CommonConfig(this.#queues, device.features, {
      reset: () => this.#reset(),
      start: () => this.guard(() => device.start?.()),
      fail: () => this.#raise(R.ISR_CONFIG),
    });
    const bar: MmioDevice = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
    };
    const id = R.PCI_DEVICE_BASE + device.type;
    const shared = device.sharedMemory?.size ?? 0;
    this.pci = new PciFunction(
      {
        vendorId: R.PCI_VENDOR,
        deviceId: id,
        subsystemVendorId: R.PCI_VENDOR,
        subsystemId: id,
        revision: 1,
        classCode: device.classCode,
      },
      [{ index: 0, size: R.BAR_SIZE, device: bar }, ...(shared > 0 ? [sharedBar(shared)] : [])],
    );
    addVirtioCapabilities(this.pci, bar, device.config.length, shared);
    device.attach(this);
  }

  get live(): boolean {
    return this.common.live;
  }

  /** Something is under way that a snapshot cannot hold. */
  get busy(): boolean {
    return this.device.busy === true || this.#later.size > 0;
  }

  queue(index: number): Virtqueue {
    return this.#queues[index]!;
  }

  serve(
    index: number,
    take: (chain: DescriptorChain) => void,
    ready: () => boolean = () => true,
  ): void {
    const queue = this.queue(index);
    for (let left = queue.state.size; left > 0; left--) {
      const chain = ready() ? queue.pop() : undefined;
      if (chain === undefined) return;
      this.#events.served();
      take(chain);
    }
    if (ready() && queue.hasNext) this.#notifyLater(index);
  }

  fault(error: unknown): void {
    this.#events.fault(error);
  }

  negotiated(feature: number): boolean {
    return this.common.negotiated(feature);
  }

  configChanged(): void {
    this.common.state.configGeneration = (this.common.state.configGeneration + 1) & 0xff;
    if (this.live) this.#raise(R.ISR_CONFIG);
  }

  guard(work: () => void): void {
    if (!this.live) return;
    try {
      work();
    } catch (error) {
      if (!isMisuse(error)) throw error;
      this.common.fail();
    }
  }

  /** All there is to save; values put into it take effect with {@link restored}. */
  savedState(): object {
    return {
      transport: this.state,
      common: this.common.state,
      pci: this.pci.state,
      queues: this.#queues.map(({ state }) => state),
      device: this.device.state,
    };
  }

  /** @throws MachineError `MACHINE_DEVICE_MISUSED` for values that no driver could have set */
  restored(): void {
    for (const queue of this.#queues) queue.restored();
  }

  /** In a turn of the host's loop. */
  #notifyLater(index: number): void {
    if (this.#later.has(index)) return;
    this.#later.add(index);
    setTimeout(() => {
      this.#later.delete(index);
      this.guard(() => this.device.notify(index));
    });
  }

  #reset(): void {
    for (const queue of this.#queues) queue.reset();
    this.state.isr = 0;
    this.pci.setInterrupt(false);
    this.device.reset();
  }

  #raise(bit: number): void {
    this.state.isr |= bit;
    this.pci.setInterrupt(true);
  }

  #read(offset: number, size: AccessSize): number {
    if (offset < R.BAR_ISR) return this.common.read(offset, size);
    if (offset === R.BAR_ISR) {
      const { isr } = this.state;
      this.state.isr = 0;
      this.pci.setInterrupt(false);
      return isr;
    }
    return offset >= R.BAR_DEVICE && offset < R.BAR_NOTIFY
      ? littleEndian(this.device.config, offset - R.BAR_DEVICE, size)
      : 0;
  }

  #write(offset: number, size: AccessSize, value: number): void {
    if (offset < R.BAR_ISR) this.common.write(offset, size, value);
    else if (offset >= R.BAR_NOTIFY) {
      const queue = (offset - R.BAR_NOTIFY) / R.NOTIFY_MULTIPLIER;
      if (Number.isInteger(queue) && queue < this.#queues.length) {
        this.guard(() => this.device.notify(queue));
      }
    }
  }
}

/**
 * The BAR of shared memory. The bridge offers room for it only where that is, and there the guest meets RAM;
 * a guest that puts it elsewhere finds nothing behind it.
 */
function sharedBar(size: number): Bar {
  const nothing: MmioDevice = { read: () => 0xffff_ffff, write: () => {} };
  return { index: R.SHARED_BAR, size, device: nothing, prefetchable: true };
}

/** What a guest can bring about; anything else is a fault of ours and must be seen. */
function isMisuse(error: unknown): boolean {
  return (
    AnoleError.is(error) &&
    (error.code === 'MACHINE_DEVICE_MISUSED' || error.code === 'MACHINE_BAD_ADDRESS')
  );
}

/** Bytes behind the end read as 0. */
function littleEndian(bytes: Uint8Array, offset: number, size: number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value |= (bytes[offset + i] ?? 0) << (8 * i);
  return value >>> 0;
}
