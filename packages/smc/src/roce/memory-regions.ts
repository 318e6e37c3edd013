import { randomInt } from 'node:crypto';

/** Memory that the peer of a queue pair may write. */
export interface MemoryRegion {
  readonly rkey: number;
  /** Where the peer says that the first byte is; means nothing to this process. */
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/**
 * The regions that one peer may write. Keys and addresses are random, and nothing outside of a region
 * can be named.
 */
export class MemoryRegions {
  readonly #regions = new Map<number, MemoryRegion>();

  /** @param bytes stay the caller's; the peer writes them until the region is removed */
  register(bytes: Uint8Array): MemoryRegion {
    let rkey: number;
    do rkey = randomInt(1, 2 ** 32);
    while (this.#regions.has(rkey));
    // Pages begin at multiples of 4096, and addresses of a region never go round.
    const address = BigInt(randomInt(1, 2 ** 40)) << 12n;
    const region = { rkey, address, bytes };
    this.#regions.set(rkey, region);
    return region;
  }

  remove({ rkey }: MemoryRegion): void {
    this.#regions.delete(rkey);
  }

  /** The bytes that a write names, undefined where any of them is not in the region of that key. */
  find(rkey: number, address: bigint, length: number): Uint8Array | undefined {
    const region = this.#regions.get(rkey);
    if (region === undefined) return undefined;
    const start = address - region.address;
    if (start < 0n || start + BigInt(length) > BigInt(region.bytes.length)) return undefined;
    return region.bytes.subarray(Number(start), Number(start) + length);
  }
}
