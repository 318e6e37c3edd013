import type { GuestMemory } from '../../hart/guest-memory.ts';
import type { DescriptorChain } from './chain.ts';
import type { Virtqueue } from './queue.ts';
import type { SharedMemory } from './shared-memory.ts';

/** What the transport gives a device. */
export interface VirtioHost {
  readonly memory: GuestMemory;
  queue(index: number): Virtqueue;
  /**
   * Has `take` have the chains that wait in a queue, one after another, while `ready`. As many as the
   * queue has room for, at most: what else comes meanwhile (another hart may go on making buffers
   * available for ever) is a later notification.
   */
  serve(index: number, take: (chain: DescriptorChain) => void, ready?: () => boolean): void;
  /** Whether the driver accepted a feature, by bit number. */
  negotiated(feature: number): boolean;
  /** The driver is up (DRIVER_OK) and the device is not broken. */
  readonly live: boolean;
  /** Tells the driver that the device configuration changed. */
  configChanged(): void;
  /**
   * Runs work on the device's queues that a notification did not start. A guest's misuse met on the
   * way breaks the device, as it does in {@link VirtioDevice.notify}; other errors pass.
   */
  guard(work: () => void): void;
  /** Ends the machine with an error that is the host's, not the guest's. */
  fault(error: unknown): void;
}

/** A virtio device, whatever its transport. */
export interface VirtioDevice {
  /** VIRTIO 1.2, section 5. */
  readonly type: number;
  /** PCI class code, 24 bits. */
  readonly classCode: number;
  /** Bits of the features offered beside those of the transport. */
  readonly features: readonly number[];
  /** Largest size of each queue: a power of two. */
  readonly queueSizes: readonly number[];
  /** Device configuration as the driver reads it now. */
  readonly config: Uint8Array;
  /** What it shares with its driver beside the queues' buffers. */
  readonly sharedMemory?: SharedMemory;
  /** Everything a snapshot needs; a restore puts the saved values into it, field by field. */
  readonly state: object;
  /** Something is under way that a snapshot cannot hold: a request that the host still serves. */
  readonly busy?: boolean;
  /** Called once, before anything else. */
  attach(host: VirtioHost): void;
  /** The driver set DRIVER_OK. */
  start?(): void;
  /** The driver made buffers available on a queue. */
  notify(queue: number): void;
  /** The driver reset the device: forget what was under way. Queues are reset by the transport. */
  reset(): void;
  /** The machine ended: nothing will be delivered any more. */
  stop?(): void;
}
