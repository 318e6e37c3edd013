import { MAX_RING, MIN_RING, ringPlace, ringWord, Slot, slotWord } from './layout.ts';
import type { LinkMemory } from './memory.ts';
import type { RingSpace } from './ring-space.ts';

/** A ring in our memory that holds the bytes from cursor `start` on. */
interface Ring {
  readonly bytes: Buffer;
  /** Within `bytes`. */
  readonly offset: number;
  /** 0 or a power of two. */
  readonly size: number;
  readonly start: number;
  /** Of the file. */
  readonly place: number;
}

const noRing: Ring = { bytes: Buffer.alloc(0), offset: 0, size: 0, start: 0, place: 0 };

/**
 * Our bytes of one connection: a ring in our memory, taken at the first byte, exchanged for a larger
 * one when the peer cannot keep up. Cursors count modulo 2^32; only differences mean something.
 */
export class RingWriter {
  /** Bytes written. */
  producer = 0;
  /** Bytes that the peer has taken, as it last said. */
  private taken = 0;
  private readonly memory: LinkMemory;
  private readonly space: RingSpace;
  private readonly word: number;
  private ring = noRing;
  /** The ring before, until the peer has read it to its end. */
  private old: Ring | undefined;

  constructor(memory: LinkMemory, space: RingSpace, slot: number) {
    this.memory = memory;
    this.space = space;
    this.word = slotWord(slot);
  }

  /** Bytes that the peer has not taken yet. */
  get pending(): number {
    return (this.producer - this.taken) >>> 0;
  }

  get size(): number {
    return this.ring.size;
  }

  /**
   * Takes the peer's word for what it has read.
   *
   * @returns false where it cannot have
   */
  acknowledge(consumer: number): boolean {
    const more = (consumer - this.taken) >>> 0;
    if (more > this.pending) return false;
    this.taken = consumer >>> 0;
    // What is in the old ring lies before `start`, and is less than 4 GiB behind.
    if (this.old !== undefined && this.pending <= this.sinceStart()) {
      this.space.give(this.old.place, this.old.size);
      this.old = undefined;
    }
    return true;
  }

  /** How many bytes fit; a larger ring is taken where `wanted` do not. */
  room(wanted: number): number {
    if (wanted > this.free() && this.size < MAX_RING && this.old === undefined) this.grow(wanted);
    return this.free();
  }

  /** Bytes of the newest ring that the peer has not taken. */
  private inRing(): number {
    return this.old === undefined ? this.pending : Math.min(this.pending, this.sinceStart());
  }

  /** Bytes written to the newest ring; modulo 2^32 when there is no old one to read first. */
  private sinceStart(): number {
    return (this.producer - this.ring.start) >>> 0;
  }

  private free(): number {
    return this.size - this.inRing();
  }

  private grow(wanted: number): void {
    const least = Math.max(MIN_RING, this.size * 2);
    let size = least;
    while (size < MAX_RING && size < wanted * 2) size *= 2;
    let place = this.space.take(size);
    while (place === undefined && size > least) {
      size /= 2;
      place = this.space.take(size);
    }
    if (place === undefined) return;
    if (this.pending > 0) this.old = this.ring;
    else if (this.size > 0) this.space.give(this.ring.place, this.size);
    const word = ringWord(place, size);
    const { segment, offset } = ringPlace(word)!;
    const before = this.ring;
    this.ring = { bytes: this.memory.segment(segment), offset, size, start: this.producer, place };
    const { words } = this.memory;
    Atomics.store(words, this.word + Slot.ring, 0);
    Atomics.store(words, this.word + Slot.start, this.producer | 0);
    Atomics.store(
      words,
      this.word + Slot.oldRing,
      this.old ? ringWord(before.place, before.size) : 0,
    );
    Atomics.store(words, this.word + Slot.oldStart, before.start | 0);
    Atomics.store(words, this.word + Slot.ring, word);
  }

  /** Copies what fits of `source` from `from` on, and returns how much. `publish` shows it to the peer. */
  write(source: Uint8Array, from: number): number {
    const count = Math.min(this.room(source.length - from), source.length - from);
    const { bytes, offset, size } = this.ring;
    for (let done = 0; done < count; ) {
      const at = this.position();
      const part = Math.min(count - done, size - at);
      const begin = from + done;
      const whole = part === source.length;
      bytes.set(whole ? source : source.subarray(begin, begin + part), offset + at);
      this.producer = (this.producer + part) >>> 0;
      done += part;
    }
    return count;
  }

  /**
   * Writes a string, where all of it fits in one piece.
   *
   * @param length its bytes in that encoding
   */
  writeString(text: string, encoding: 'latin1' | 'utf8', length: number): boolean {
    if (this.room(length) < length) return false;
    const at = this.position();
    if (this.size - at < length) return false;
    this.ring.bytes.write(text, this.ring.offset + at, length, encoding);
    this.producer = (this.producer + length) >>> 0;
    return true;
  }

  /** The last byte that was written is urgent. To be called before `publish` shows it. */
  markUrgent(): void {
    Atomics.store(this.memory.words, this.word + Slot.urgent, this.producer | 0);
  }

  publish(): void {
    Atomics.store(this.memory.words, this.word + Slot.producer, this.producer | 0);
  }

  /** Copies of all bytes that the peer has not taken: they go over TCP instead. */
  untaken(): Buffer {
    const here = this.inRing();
    const before = this.pending - here;
    const pieces = this.old === undefined ? [] : piecesOf(this.old, this.taken, before);
    return Buffer.concat([...pieces, ...piecesOf(this.ring, this.producer - here, here)]);
  }

  private position(): number {
    return (this.producer - this.ring.start) & (this.size - 1);
  }

  /** Gives the memory back: the peer reads no more. */
  release(): void {
    for (const each of [this.ring, this.old]) {
      if (each !== undefined && each.size > 0) this.space.give(each.place, each.size);
    }
    this.old = undefined;
    this.ring = noRing;
  }
}

/** @param cursor of the first byte */
function piecesOf(ring: Ring, cursor: number, count: number): Buffer[] {
  if (count === 0) return [];
  const at = (cursor - ring.start) & (ring.size - 1);
  const first = Math.min(count, ring.size - at);
  const from = ring.offset + at;
  return [
    ring.bytes.subarray(from, from + first),
    ring.bytes.subarray(ring.offset, ring.offset + count - first),
  ];
}
