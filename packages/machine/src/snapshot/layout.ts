/**
 * The snapshot file, described in docs/formats/snapshot.md. Little-endian. A header, a table of
 * sections, the sections.
 */

export const MAGIC = 'anoleSNP';
/**
 * Version of the file and of the states in it: a change of the hart's state, of a device's or of the
 * board needs a new one.
 */
export const SNAPSHOT_VERSION = 1;

export const HEADER = {
  magic: 0,
  /** u32. */
  version: 8,
  /** u32: entries of the table of sections, which follows the header. */
  sections: 12,
  /** u64: bytes of the whole file. */
  size: 16,
  /** u32: CRC-32C of header and table, this field being 0. */
  sum: 24,
  /** 32 bytes that the owner chose: what the machine was made of. */
  identity: 32,
  end: 64,
} as const;
export const IDENTITY_SIZE = 32;

/** An entry of the table of sections. */
export const ENTRY = {
  /** u32, {@link Section}. */
  kind: 0,
  /** u32: CRC-32C of the section; 0 for `pages`, where each page has its own. */
  sum: 4,
  /** u64, u64. */
  offset: 8,
  length: 16,
  end: 24,
} as const;

/** What sections there are, by number. Each is there once. */
export const Section = {
  /** JSON: what the machine is. */
  machine: 1,
  /** Bytes of `Hart.saveState`. */
  hart: 2,
  /** JSON: the devices' states. */
  devices: 3,
  /** The owner's own bytes. */
  host: 4,
  /** u32 each: numbers of the pages in the file, rising. RAM's first page is 0. */
  pageNumbers: 5,
  /** u32 each: CRC-32C of those pages. */
  pageSums: 6,
  /** 4096 bytes each; starts at a multiple of 4096. Pages that are not there are zero. */
  pages: 7,
} as const;
export const SECTION_COUNT = 7;

/** Bounds of sections, before anything is read: JSON and the owner's bytes; hart. */
export const MAX_TEXT = 0x10_0000;
export const MAX_HOST = 0x100_0000;
