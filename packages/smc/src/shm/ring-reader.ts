import { ringPlace, Slot, slotWord } from './layout.ts';
import type { LinkMemory } from './memory.ts';

interface PlacedRing {
  readonly word: number;
  /** Cursor of its first byte. */
  readonly start: number;
  readonly size: number;
}

const noRing: PlacedRing = { word: 0, start: 0, size: 0 };

/** The peer's bytes of one connection. Whatever the peer says is checked before it is used. */
export class RingReader {
  /** Bytes taken. */
  consumer = 0;
  /** Bytes written, as the peer last said. */
  private producer = 0;
  private readonly memory: LinkMemory;
  private readonly word: number;
  private ring = noRing;
  private bytes: Buffer = Buffer.alloc(0);
  private offset = 0;
  /** The place of the peer's urgent byte that was last seen, as it tells it. */
  private mark = 0;
  private urgent: number | undefined;
  /** The ring that follows, where this one has bytes still. */
  private next: PlacedRing | undefined;

  constructor(memory: LinkMemory, slot: number) {
    this.memory = memory;
    this.word = slotWord(slot);
  }

  /** Bytes known to be there. */
  get unread(): number {
    return (this.producer - this.consumer) >>> 0;
  }

  /**
   * Whether a writer that waits for room should be woken: late, so that it is seldom, but early
   * enough for it to be awake before the rest is read.
   */
  get isRunningLow(): boolean {
    return this.unread * 4 <= (this.next ?? this.ring).size;
  }

  /** Nothing more is read: the memory has become another connection's. */
  forget(): void {
    this.producer = this.consumer;
  }

  /**
   * Looks at the peer's cursors.
   *
   * @returns false where they cannot be
   */
  look(): boolean {
    const { words } = this.memory;
    const producer = Atomics.load(words, this.word + Slot.producer) >>> 0;
    if (producer === this.producer) return true;
    const newest = Atomics.load(words, this.word + Slot.ring);
    // It is being exchanged, maybe before this end has seen the first: the peer tells when that is done.
    if (newest === 0) return true;
    if (newest !== (this.next ?? this.ring).word) {
      const rings = this.readRings(newest);
      if (rings === undefined) return true;
      if (!this.follow(rings.newest, rings.old)) return false;
    }
    if ((producer - this.consumer) >>> 0 > this.limit()) return false;
    this.producer = producer;
    this.lookForUrgent();
    return true;
  }

  private lookForUrgent(): void {
    const mark = Atomics.load(this.memory.words, this.word + Slot.urgent);
    if (mark === this.mark) return;
    const behind = (this.producer - mark) >>> 0;
    // Else the byte comes with the next producer.
    if (behind >= this.unread) return;
    this.mark = mark;
    this.urgent = this.byteAt((mark - 1) >>> 0);
  }

  /** An urgent byte that has come, once. */
  takeUrgent(): number | undefined {
    const { urgent } = this;
    this.urgent = undefined;
    return urgent;
  }

  /** @param cursor of a byte that is there */
  private byteAt(cursor: number): number {
    const { next } = this;
    const isNext = next !== undefined && (cursor - next.start) >>> 0 < next.size;
    if (!isNext) return this.bytes[this.offset + this.at(cursor)]!;
    const { segment, offset } = ringPlace(next.word)!;
    return this.memory.segment(segment)[offset + this.at(cursor, next)]!;
  }

  private readRings(newest: number) {
    const { words } = this.memory;
    const load = (name: 'start' | 'oldRing' | 'oldStart') =>
      Atomics.load(words, this.word + Slot[name]);
    const [start, oldRing, oldStart] = [load('start'), load('oldRing'), load('oldStart')];
    if (Atomics.load(words, this.word + Slot.ring) !== newest) return undefined;
    const placed = (word: number, from: number): PlacedRing => ({
      word,
      start: from >>> 0,
      size: ringPlace(word)?.size ?? 0,
    });
    return { newest: placed(newest, start), old: placed(oldRing, oldStart) };
  }

  /** Takes up rings that the peer has exchanged since the last look. */
  private follow(newest: PlacedRing, old: PlacedRing): boolean {
    if (newest.size === 0) return false;
    if (newest.start === this.consumer) {
      this.adopt(newest);
      return true;
    }
    if (old.word !== this.ring.word) {
      if (old.size === 0 || old.start !== this.consumer) return false;
      this.adopt(old);
    }
    this.next = newest;
    // What comes before the new ring is in this one, and is no more than fits.
    return (newest.start - this.consumer) >>> 0 <= this.ring.size;
  }

  private adopt(ring: PlacedRing): void {
    const { segment, offset } = ringPlace(ring.word)!;
    this.bytes = this.memory.segment(segment);
    this.offset = offset;
    this.ring = ring;
    this.next = undefined;
  }

  /** The most that can lie unread. */
  private limit(): number {
    if (this.next === undefined) return this.ring.size;
    return ((this.next.start - this.consumer) >>> 0) + this.next.size;
  }

  /**
   * Copies bytes that are there into memory of their own: nothing else is in their `ArrayBuffer`, as with those that
   * come over TCP, so that programs may pass it on.
   */
  take(count: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(count);
    this.takeInto(bytes);
    return bytes;
  }

  /** Fills `to` with bytes that are there. */
  takeInto(to: Uint8Array): void {
    for (let done = 0; done < to.length; ) {
      const part = this.piece(to.length - done);
      const from = this.offset + this.at();
      to.set(this.bytes.subarray(from, from + part), done);
      this.advance(part);
      done += part;
    }
  }

  /** How many of the next `most` bytes lie in one piece. */
  private piece(most: number): number {
    if (this.next?.start === this.consumer) this.adopt(this.next);
    const before = this.next === undefined ? most : (this.next.start - this.consumer) >>> 0;
    return Math.min(most, before, this.ring.size - this.at());
  }

  private advance(count: number): void {
    this.consumer = (this.consumer + count) >>> 0;
  }

  /** Where a byte lies in its ring. */
  private at(cursor = this.consumer, ring = this.ring): number {
    return (cursor - ring.start) & (ring.size - 1);
  }
}
