import { scatter } from '../virtio/chain.ts';
import type { VirtioDevice, VirtioHost } from '../virtio/device.ts';
import { TYPE_ENTROPY } from '../virtio/registers.ts';
import { CLASS_OTHER, MAX_REQUEST, REQUEST_QUEUE } from './registers.ts';

/** Fills all of `bytes`, at most 64 KiB, with random bytes: `crypto.getRandomValues` is one. */
export type RandomSource = (bytes: Uint8Array<ArrayBuffer>) => void;

/** Entropy device (VIRTIO 1.2, 5.4). */
export class VirtioRng implements VirtioDevice {
  readonly type = TYPE_ENTROPY;
  readonly classCode = CLASS_OTHER;
  readonly features = [];
  readonly queueSizes = [64];
  readonly config = new Uint8Array(0);
  readonly state = {};
  readonly #fill: RandomSource;
  #host: VirtioHost | undefined;

  /** With a deterministic `fill` the guest's randomness is that of the function. */
  constructor(fill: RandomSource = (bytes) => void crypto.getRandomValues(bytes)) {
    this.#fill = fill;
  }

  attach(host: VirtioHost): void {
    this.#host = host;
  }

  notify(): void {
    const host = this.#host!;
    host.serve(REQUEST_QUEUE, (chain) => {
      const bytes = new Uint8Array(Math.min(chain.writableLength, MAX_REQUEST));
      this.#fill(bytes);
      host.queue(REQUEST_QUEUE).complete(chain, scatter(host.memory, chain, [bytes]));
    });
  }

  reset(): void {}
}
