import { type Awaitable, isPromise } from '@anole/bytes';
import { MachineError } from '../../errors.ts';
import { type DescriptorChain, gather, scatter } from '../virtio/chain.ts';
import type { VirtioDevice, VirtioHost } from '../virtio/device.ts';
import { misused } from '../virtio/queue.ts';
import { TYPE_FILE_SYSTEM } from '../virtio/registers.ts';
import type { SharedMemory } from '../virtio/shared-memory.ts';
import {
  CLASS_STORAGE,
  CONFIG_SIZE,
  FIRST_REQUEST_QUEUE,
  MAX_IN_FLIGHT,
  MAX_REQUEST,
  QUEUE_SIZE,
  TAG_SIZE,
} from './registers.ts';

/** The reply as it goes out: one piece, pieces to be joined, or none. */
export type FsReply = Uint8Array | readonly Uint8Array[] | undefined;

/**
 * Answers one request. `request` is the handler's until it returned or its Promise settled.
 * `replyCapacity` is the room the guest gave: 0 where no reply is wanted; what does not fit is cut.
 * Answering synchronously completes the request before the guest runs on. Must not fail: an error
 * thrown ends the machine.
 */
export type FsHandler = (request: Uint8Array, replyCapacity: number) => Awaitable<FsReply>;

export interface VirtioFsOptions {
  /** What the guest mounts: 1 to 36 bytes of UTF-8. */
  readonly tag: string;
  readonly handle: FsHandler;
  /**
   * Shared memory for files that the guest maps (the DAX window): the machine gives it its place. Default:
   * none.
   */
  readonly sharedMemory?: SharedMemory;
  /** Request queues beside the high-priority one. Default 1. */
  readonly requestQueues?: number;
}

/**
 * File system device (VIRTIO 1.2, 5.11). Knows nothing of FUSE: it carries requests to a handler
 * and replies back, in whatever order they are ready.
 */
export class VirtioFs implements VirtioDevice {
  readonly type = TYPE_FILE_SYSTEM;
  readonly classCode = CLASS_STORAGE;
  readonly features = [];
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array;
  readonly state = {};
  readonly sharedMemory?: SharedMemory;
  readonly #handle: FsHandler;
  #host: VirtioHost | undefined;
  /** Requests are copied here, so that the guest cannot change one while it is served. */
  #scratch = new Uint8Array(0x1_0000);
  #inFlight = 0;

  /** @throws MachineError `MACHINE_BAD_OPTION` for a tag that does not fit */
  constructor(options: VirtioFsOptions) {
    const tag = new TextEncoder().encode(options.tag);
    if (tag.length === 0 || tag.length > TAG_SIZE || tag.includes(0)) {
      throw new MachineError('MACHINE_BAD_OPTION', `Cannot use the tag ${options.tag}`, {
        hint: `give 1 to ${TAG_SIZE} bytes without NUL`,
      });
    }
    const queues = options.requestQueues ?? 1;
    this.config = new Uint8Array(CONFIG_SIZE);
    this.config.set(tag);
    new DataView(this.config.buffer).setUint32(TAG_SIZE, queues, true);
    this.queueSizes = new Array<number>(FIRST_REQUEST_QUEUE + queues).fill(QUEUE_SIZE);
    this.#handle = options.handle;
    if (options.sharedMemory) this.sharedMemory = options.sharedMemory;
  }

  get busy(): boolean {
    return this.#inFlight > 0;
  }

  attach(host: VirtioHost): void {
    this.#host = host;
  }

  notify(index: number): void {
    this.#host!.serve(
      index,
      (chain) => this.#serve(index, chain),
      () => this.#inFlight <= MAX_IN_FLIGHT,
    );
  }

  reset(): void {}

  #serve(index: number, chain: DescriptorChain): void {
    const { readableLength, writableLength } = chain;
    if (readableLength > MAX_REQUEST) throw misused(`a request of ${readableLength} bytes`);
    if (this.#scratch.length < readableLength) this.#scratch = new Uint8Array(MAX_REQUEST);
    const request = this.#scratch.subarray(0, readableLength);
    gather(this.#host!.memory, chain, request);
    const reply = this.#handle(request, writableLength);
    if (!isPromise(reply)) this.#complete(index, chain, reply);
    else void this.#completeLater(index, chain, reply);
  }

  #complete(index: number, chain: DescriptorChain, reply: FsReply): void {
    const host = this.#host!;
    const queue = host.queue(index);
    // After a reset the guest uses these buffers for something else.
    if (chain.generation !== queue.state.generation) return;
    const chunks = reply === undefined ? [] : reply instanceof Uint8Array ? [reply] : reply;
    queue.complete(chain, scatter(host.memory, chain, chunks));
  }

  async #completeLater(
    index: number,
    chain: DescriptorChain,
    reply: Promise<FsReply>,
  ): Promise<void> {
    const host = this.#host!;
    // The handler keeps this buffer for now; its whole size is what waits.
    const held = this.#scratch.length;
    this.#scratch = new Uint8Array(0x1_0000);
    this.#inFlight += held;
    try {
      const chunks = await reply;
      host.guard(() => this.#complete(index, chain, chunks));
    } catch (error) {
      host.fault(error);
    } finally {
      this.#inFlight -= held;
    }
    host.guard(() => {
      for (let queue = 0; queue < this.queueSizes.length; queue++) this.notify(queue);
    });
  }
}
