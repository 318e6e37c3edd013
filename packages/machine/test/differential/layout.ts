/** Physical addresses of a test program: as QEMU's `virt` board and our machine have them. */
export const address = {
  power: 0x0010_0000,
  uart: 0x1000_0000,
  code: 0x8000_0000,
  scratch: 0x8030_0000,
  save: 0x8040_0000,
  initial: 0x8050_0000,
  tables: 0x8060_0000,
} as const;

export const MEMORY = 32 << 20;
export const SCRATCH_BYTES = 4 * 4096;
/** Where the scratch pages are mapped for S and U: twice, the first time with random permissions. */
export const VIRTUAL_SCRATCH = 0x4000_0000;
/** Where the first 2 MiB of code are mapped for them once more, by pages. */
export const VIRTUAL_CODE = 0x4020_0000;
/** Tables of a mode: root, middle, leaves of scratch memory, leaves of code. */
export const TABLES = 4;

/** Offsets in the save area; what comes before `reportBytes` is printed after each block. */
export const save = {
  x: 0,
  f: 256,
  fcsr: 512,
  trapCount: 520,
  /** Cause, tval and epc of the first traps. */
  traps: 528,
  reportBytes: 528 + 16 * 24,
  spill: 960,
  next: 992,
  /** Of a block in pages: where the entry for its first page is (else 0), and that page's number. */
  entry: 1000,
  firstPage: 1008,
  /** Entries for its two pages: without what it needs, and with it. */
  broken: 1016,
  whole: 1032,
} as const;

/** Traps that are recorded; the rest are only counted. */
export const TRAPS = 16;

export const INITIAL_BYTES = 520;
