/**
 * The memory through which one side of a link speaks: a memory file of its own, which it writes and
 * the peer maps for reading only. See docs/decisions/0151-each-side-writes-its-own-memory.md.
 *
 * Words are 32 bits, little-endian. Each group that another processor polls has a cache line.
 */

/** `ANSM` */
export const MAGIC = 0x4d534e41;
export const VERSION = 2;

/** Connections of a link at once. */
export const SLOTS = 16384;

/** Words of the head. */
export const Head = {
  magic: 0,
  version: 1,
  slots: 2,
  /** News written to the queue since the beginning. */
  tail: 16,
  /** News of the peer's queue that were taken. */
  taken: 32,
  /** Odd while its owner waits for the doorbell; each wait has a number of its own. */
  sleep: 48,
  /** Server: not 0 while connections that it has accepted wait for being claimed. */
  claims: 49,
} as const;

/** Words of a slot: one end of a connection, as its owner tells it. */
export const Slot = {
  /** `generation << 4 | state`, of {@link State}. */
  state: 0,
  /** Bytes written since the beginning, modulo 2^32. */
  producer: 1,
  /** Bytes taken of what the peer wrote. */
  consumer: 2,
  /** CDC's flags: those of the producer, those of the connection above them. */
  flags: 3,
  /**
   * The ring that bytes from `start` on are in: `page << 5 | log2 of its size`. 0 before the first
   * byte, and while these four words change.
   */
  ring: 4,
  start: 5,
  /** The place just behind the latest urgent byte, as `producer` counts; stored before the producer that shows it. */
  urgent: 6,
  /** Of the client: `local port << 16 | remote port`. */
  ports: 7,
  /** Of the client: addresses as IPv6, 4 words each. */
  local: 8,
  remote: 12,
  /** The ring before, with the bytes before `start`; it is not used again until they are taken. */
  oldRing: 16,
  oldStart: 17,
} as const;
export const SLOT_WORDS = 32;

/** What the owner of a slot says of its connection. */
export const State = {
  /** Client: about to connect over TCP to the port in `ports`. */
  connecting: 1,
  /** Client: connected over TCP, and ready for shared memory; the addresses are there. */
  claimed: 2,
  /** Server: has accepted it. Client: knows that. */
  live: 3,
  /** Client: asks itself whether the server has accepted it; `tcp` or `live` follows at once. */
  leaving: 4,
  /** It goes over TCP. */
  tcp: 5,
  /** This end reads and writes no more. */
  closed: 6,
  /** Asks itself whether the other end is about to leave, too; `live` or `moved` follows at once. */
  moving: 7,
  /**
   * Goes on over TCP. The other end reads what was written here, and sends over TCP what was not taken
   * of its own: docs/decisions/0170-a-connection-can-leave.md.
   */
  moved: 8,
} as const;

export const GENERATION_SHIFT = 4;
export const STATE_MASK = 15;

/** Bits of `Slot.flags`, with the values of CDC (layout/cdc.ts); urgent bytes have a word of their own. */
export const Flag = {
  writeBlocked: 0x80,
  doneWriting: 0x80 << 8,
  closed: 0x40 << 8,
  abort: 0x20 << 8,
} as const;

const PAGE = 4096;
export const QUEUE_OFFSET = PAGE;
export const TABLE_OFFSET = QUEUE_OFFSET + SLOTS * 4;
/** Head, queue and table. */
export const BASE_BYTES = 4 * 1024 * 1024;
/** Rings lie in segments, which are mapped when they are first used. */
export const SEGMENT_BYTES = 16 * 1024 * 1024;
export const SEGMENTS = 128;
/** Of the whole file; pages are taken when they are touched. */
export const FILE_BYTES = BASE_BYTES + SEGMENTS * SEGMENT_BYTES;

export const MIN_RING = 16 * 1024;
export const MAX_RING = 4 * 1024 * 1024;
const MIN_RING_LOG = 14;
const MAX_RING_LOG = 22;

export const slotWord = (slot: number): number => TABLE_OFFSET / 4 + slot * SLOT_WORDS;

/** @param offset in the file */
export function ringWord(offset: number, size: number): number {
  return ((offset / PAGE) << 5) | (31 - Math.clz32(size));
}

export interface RingPlace {
  readonly segment: number;
  /** Within the segment. */
  readonly offset: number;
  readonly size: number;
}

/** Where a ring lies; undefined where the word names none that could be. */
export function ringPlace(word: number): RingPlace | undefined {
  const log = word & 31;
  const offset = (word >>> 5) * PAGE - BASE_BYTES;
  if (log < MIN_RING_LOG || log > MAX_RING_LOG || offset < 0) return undefined;
  const size = 1 << log;
  const segment = Math.floor(offset / SEGMENT_BYTES);
  const inside = offset % SEGMENT_BYTES;
  if (segment >= SEGMENTS || inside + size > SEGMENT_BYTES) return undefined;
  return { segment, offset: inside, size };
}
