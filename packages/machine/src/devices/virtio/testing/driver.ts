import { GuestMemory } from '../../../hart/guest-memory.ts';
import type { VirtioDevice } from '../device.ts';
import { VirtioPci } from '../pci-transport.ts';
import * as R from '../registers.ts';

const C = R.COMMON;
const QUEUE_SPACE = 0x1_0000;
const BUFFERS = 0x20_0000;

export interface DriverOptions {
  readonly eventIndex?: boolean;
  readonly indirect?: boolean;
  /** Features accepted beside the transport's. Default: all that are offered. */
  readonly features?: readonly number[];
  readonly queueSize?: number;
}

/** A used element with the bytes that the device wrote. */
export interface Used {
  readonly token: number;
  readonly written: number;
  readonly bytes: Uint8Array;
}

/** Drives a virtio device as a guest's driver would: through the BAR and rings in memory. */
export class TestDriver {
  readonly memory = new GuestMemory(0x100_0000);
  readonly transport: VirtioPci;
  readonly faults: unknown[] = [];
  interrupts = 0;
  readonly #options: DriverOptions;
  readonly #queues: DriverQueue[] = [];
  #nextBuffer = this.memory.base + BUFFERS;

  constructor(device: VirtioDevice, options: DriverOptions = {}) {
    this.#options = options;
    this.transport = new VirtioPci(this.memory, device, {
      fault: (error) => this.faults.push(error),
      served: () => {},
    });
    this.transport.pci.connect((asserted) => {
      if (asserted) this.interrupts++;
    });
  }

  read(offset: number, size: 1 | 2 | 4): number {
    return this.transport.pci.bars[0]!.device.read(offset, size);
  }

  write(offset: number, size: 1 | 2 | 4, value: number): void {
    this.transport.pci.bars[0]!.device.write(offset, size, value);
  }

  get status(): number {
    return this.read(C.deviceStatus, 1);
  }

  /** The initialisation of VIRTIO 1.2, 3.1.1. */
  start(): this {
    const { device } = this.transport;
    this.write(C.deviceStatus, 1, 0);
    this.write(C.deviceStatus, 1, 3);
    const accepted = [...(this.#options.features ?? device.features), R.F_VERSION_1];
    if (this.#options.eventIndex) accepted.push(R.F_EVENT_IDX);
    if (this.#options.indirect) accepted.push(R.F_INDIRECT_DESC);
    for (const select of [0, 1]) {
      const bits = accepted.filter((bit) => bit >>> 5 === select);
      this.write(C.driverFeatureSelect, 4, select);
      const word = bits.reduce((sum, bit) => sum | (1 << (bit & 31)), 0);
      this.write(C.driverFeature, 4, word >>> 0);
    }
    this.write(C.deviceStatus, 1, 11);
    device.queueSizes.forEach((_, index) => {
      this.#queues[index] = this.#setUp(index);
    });
    this.write(C.deviceStatus, 1, 15);
    return this;
  }

  /** Makes one chain available and notifies. Returns its token. */
  send(queue: number, readable: readonly Uint8Array[], writable: readonly number[] = []): number {
    const token = this.post(queue, readable, writable);
    this.kick(queue);
    return token;
  }

  post(queue: number, readable: readonly Uint8Array[], writable: readonly number[] = []): number {
    const buffers = [
      ...readable.map((bytes) => ({ address: this.place(bytes), length: bytes.length, flags: 0 })),
      ...writable.map((length) => ({
        address: this.place(new Uint8Array(length)),
        length,
        flags: R.DESC_WRITE,
      })),
    ];
    return this.#queues[queue]!.post(buffers, this.#options.indirect ? this : undefined);
  }

  kick(queue: number): void {
    this.write(R.BAR_NOTIFY + queue * R.NOTIFY_MULTIPLIER, 2, queue);
  }

  /** What the device gave back on a queue since the last call. */
  used(queue: number): Used[] {
    return this.#queues[queue]!.used();
  }

  queueAt(queue: number): DriverQueue {
    return this.#queues[queue]!;
  }

  /** Puts bytes somewhere in RAM. */
  place(bytes: Uint8Array): number {
    const address = this.#nextBuffer;
    this.#nextBuffer += (bytes.length + 15) & ~15;
    if (this.#nextBuffer > this.memory.base + this.memory.size) throw new Error('test RAM is full');
    this.memory.writable(address, bytes.length).set(bytes);
    return address;
  }

  #setUp(index: number): DriverQueue {
    const base = this.memory.base + (index + 1) * QUEUE_SPACE;
    this.write(C.queueSelect, 2, index);
    const size = this.#options.queueSize ?? this.read(C.queueSize, 2);
    this.write(C.queueSize, 2, size);
    const queue = new DriverQueue(this.memory, base, size, this.#options.eventIndex ?? false);
    this.write(C.queueDesc, 4, queue.descriptors);
    this.write(C.queueDesc + 4, 4, 0);
    this.write(C.queueDriver, 4, queue.available);
    this.write(C.queueDevice, 4, queue.usedRing);
    this.write(C.queueEnable, 2, 1);
    return queue;
  }
}

interface Buffer {
  readonly address: number;
  readonly length: number;
  readonly flags: number;
}

export class DriverQueue {
  readonly descriptors: number;
  readonly available: number;
  readonly usedRing: number;
  readonly size: number;
  readonly #memory: GuestMemory;
  readonly #eventIndex: boolean;
  readonly #posted = new Map<number, readonly Buffer[]>();
  #nextDescriptor = 0;
  #nextAvailable = 0;
  #nextUsed = 0;

  constructor(memory: GuestMemory, base: number, size: number, eventIndex: boolean) {
    this.#memory = memory;
    this.#eventIndex = eventIndex;
    this.size = size;
    this.descriptors = base;
    this.available = base + 0x4000;
    this.usedRing = base + 0x8000;
  }

  post(buffers: readonly Buffer[], indirectIn: TestDriver | undefined): number {
    const head = this.#nextDescriptor;
    this.#posted.set(head, buffers);
    if (indirectIn !== undefined) {
      const table = indirectIn.place(new Uint8Array(buffers.length * R.DESCRIPTOR_SIZE));
      buffers.forEach((buffer, i) => {
        const next = i + 1 < buffers.length;
        this.descriptor(table, i, buffer, buffer.flags | (next ? R.DESC_NEXT : 0), i + 1);
      });
      const length = buffers.length * R.DESCRIPTOR_SIZE;
      const all = { address: table, length, flags: 0 };
      this.descriptor(this.descriptors, head, all, R.DESC_INDIRECT, 0);
      this.#nextDescriptor = (head + 1) % this.size;
    } else {
      buffers.forEach((buffer, i) => {
        const index = (head + i) % this.size;
        const flags = buffer.flags | (i + 1 < buffers.length ? R.DESC_NEXT : 0);
        this.descriptor(this.descriptors, index, buffer, flags, (index + 1) % this.size);
      });
      this.#nextDescriptor = (head + buffers.length) % this.size;
    }
    this.makeAvailable(head);
    return head;
  }

  descriptor(table: number, index: number, buffer: Buffer, flags: number, next: number): void {
    const at = table + index * R.DESCRIPTOR_SIZE;
    this.#memory.writeU64(at, BigInt(buffer.address));
    this.#memory.writeU32(at + 8, buffer.length);
    this.#memory.writeU16(at + 12, flags);
    this.#memory.writeU16(at + 14, next);
  }

  makeAvailable(head: number): void {
    const slot = this.#nextAvailable % this.size;
    this.#memory.writeU16(this.available + 4 + 2 * slot, head);
    this.#nextAvailable = (this.#nextAvailable + 1) & 0xffff;
    this.#memory.writeU16(this.available + 2, this.#nextAvailable);
  }

  used(): Used[] {
    const out: Used[] = [];
    const index = this.#memory.readU16(this.usedRing + 2);
    for (; this.#nextUsed !== index; this.#nextUsed = (this.#nextUsed + 1) & 0xffff) {
      const at = this.usedRing + 4 + 8 * (this.#nextUsed % this.size);
      const token = this.#memory.readU32(at);
      const written = this.#memory.readU32(at + 4);
      out.push({ token, written, bytes: this.#bytes(token, written) });
    }
    if (this.#eventIndex) {
      this.#memory.writeU16(this.available + 4 + 2 * this.size, this.#nextUsed);
    }
    return out;
  }

  #bytes(token: number, written: number): Uint8Array {
    const bytes = new Uint8Array(written);
    let at = 0;
    for (const { address, length, flags } of this.#posted.get(token) ?? []) {
      if (!(flags & R.DESC_WRITE) || at >= written) continue;
      const part = Math.min(length, written - at);
      bytes.set(this.#memory.readable(address, part), at);
      at += part;
    }
    return bytes;
  }
}
