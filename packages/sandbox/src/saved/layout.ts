/**
 * A sandbox in a file, described in docs/formats/sandbox-file.md. Little-endian. A header, a table of
 * sections, the sections.
 */
export const MAGIC = 'anoleBOX';
/** Of the file. What the machine in it is has a version of its own. */
export const VERSION = 2;
/** The oldest version that is read as well: it has no images as volumes. */
export const OLDEST_VERSION = 1;

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
  end: 64,
} as const;

/** An entry of the table of sections. */
export const ENTRY = {
  /** u32, {@link Section}. */
  kind: 0,
  /** u32: CRC-32C of the section; 0 for those that have sums of their own. */
  sum: 4,
  /** u64, u64. */
  offset: 8,
  length: 16,
  end: 24,
} as const;

/** What sections there are, by number, each once and in this order. */
export const Section = {
  /** JSON: what the sandbox is, see `description.ts`. */
  description: 1,
  /** JSON: what the guest knows of what is behind its devices, the root aside. */
  devices: 2,
  /** Lines of JSON: the layer over the image, without the bytes of files. */
  overlay: 3,
  /** Lines of JSON: what the guest's kernel knows of its root. */
  kernel: 4,
  /** Bytes of files. Each chunk's sum is in `overlay`. */
  chunks: 5,
  /** A snapshot of the machine, docs/formats/snapshot.md; begins at a multiple of 4096. */
  machine: 6,
} as const;
export const SECTION_COUNT = 6;
export const HEAD_SIZE = HEADER.end + SECTION_COUNT * ENTRY.end;
export const MACHINE_ALIGNMENT = 4096;

/** Bound of the description, before it is read. */
export const MAX_DESCRIPTION = 0x100_0000;
