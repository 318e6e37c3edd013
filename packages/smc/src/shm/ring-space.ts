import { BASE_BYTES, MAX_RING, MIN_RING, SEGMENT_BYTES, SEGMENTS } from './layout.ts';

/** Bytes of a link's memory that rings larger than the smallest may take together. */
const LARGE_LIMIT = 128 * 1024 * 1024;

/**
 * Gives out rings of a side's own memory: sizes are powers of two, each lies on a multiple of its
 * size, and freed ones are used again first, so that memory already touched is touched again.
 */
export class RingSpace {
  private readonly free = new Map<number, number[]>();
  private large = 0;
  private next = 0;

  /** Offset in the file; undefined where no room is left. */
  take(size: number): number | undefined {
    if (size > MIN_RING && this.large + size > LARGE_LIMIT) return undefined;
    const offset = this.free.get(size)?.pop() ?? this.carve(size);
    if (offset !== undefined && size > MIN_RING) this.large += size;
    return offset;
  }

  give(offset: number, size: number): void {
    if (size > MIN_RING) this.large -= size;
    const list = this.free.get(size);
    if (list === undefined) this.free.set(size, [offset]);
    else list.push(offset);
  }

  private carve(size: number): number | undefined {
    const at = Math.ceil(this.next / size) * size;
    if (size > MAX_RING || at + size > SEGMENTS * SEGMENT_BYTES) return undefined;
    // What alignment leaves over serves smaller rings.
    for (let gap = this.next; gap < at; gap += MIN_RING) this.give(BASE_BYTES + gap, MIN_RING);
    this.next = at + size;
    return BASE_BYTES + at;
  }
}
