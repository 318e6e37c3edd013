/**
 * Where things lie in the hart's part of the WebAssembly memory, below guest RAM. All values are
 * byte offsets from 0; slots are of 8 bytes unless said otherwise. One hart per memory.
 */

/** x0 to x31, 8 bytes each. x0 is a slot like the others and holds 0 between instructions. */
export const X = 0x000;
/** f0 to f31, 8 bytes each, narrower values NaN-boxed. */
export const F = 0x100;

export const PC = 0x200;
/** i32: instructions that the slice at hand may still execute. */
export const REMAINING = 0x208;
/** i32: not 0 after a helper took a trap, which ends the instruction. */
export const FAULT = 0x20c;
/** i32: privilege, 0 U, 1 S, 3 M. */
export const MODE = 0x210;
/** i32: {@link TlbMode} of fetches and of loads and stores, from MODE and mstatus. */
export const FETCH_MODE = 0x214;
export const DATA_MODE = 0x218;
/** i32: levels of the page table that satp selects: 0 (bare), 3 (Sv39), 4 (Sv48). */
export const LEVELS = 0x21c;
/** Virtual address of the last lr, or all ones; and the value that it gave. */
export const RESERVATION = 0x220;
export const RESERVED_VALUE = 0x228;
/** i32: 1 where ecall from S goes to the host's firmware callback. */
export const FIRMWARE = 0x230;
/** i32: bytes of RAM (as unsigned). */
export const RAM_SIZE = 0x234;
/** i32: 1 where the host fills pages of RAM at their first touch. Not saved. */
export const BACKED = 0x238;

/**
 * i32: place in shared RAM of the word by which others ask this hart to look up; it is not 0 then.
 * Not saved. Unused where there is one hart only.
 */
export const ATTENTION = 0x23c;

/** i32: bit 0 where accesses of S and U are to be checked by PMP, bit 1 where those of M are. */
export const PMP_GUARD = 0x268;
/** i32: bytes of the access at hand, for PMP. */
export const ACCESS_SIZE = 0x26c;

/** Arguments and result of the imports for floating point, and of the one for CSRs. */
export const FLOAT_A = 0x240;
export const FLOAT_B = 0x248;
export const FLOAT_C = 0x250;
export const FLOAT_RESULT = 0x258;
export const CSR_VALUE = 0x260;

/**
 * Lowest and highest page that a superpage covered since the last flush, in the lower and in the
 * upper half of the address space: what tells a fence of one page that it must flush all.
 */
export const SUPERPAGES = 0x270;

/** CSRs that are plain slots. The format of the values is that of the Privileged spec. */
export const MSTATUS = 0x300;
export const MEDELEG = 0x308;
export const MIDELEG = 0x310;
export const MIE = 0x318;
/** What `mip` reads as: lines, soft bits and timers together. */
export const MIP = 0x320;
export const MTVEC = 0x328;
export const MEPC = 0x330;
export const MCAUSE = 0x338;
export const MTVAL = 0x340;
export const MSCRATCH = 0x348;
export const STVEC = 0x350;
export const SEPC = 0x358;
export const SCAUSE = 0x360;
export const STVAL = 0x368;
export const SSCRATCH = 0x370;
export const SATP = 0x378;
export const MCOUNTEREN = 0x380;
export const SCOUNTEREN = 0x388;
export const MENVCFG = 0x390;
export const SENVCFG = 0x398;
export const STIMECMP = 0x3a0;
export const MTIMECMP = 0x3a8;
/** i32: fflags in bits 4:0, frm in 7:5. */
export const FCSR = 0x3b0;
/** Interrupt lines held by devices, and mip bits that software wrote. */
export const LINES = 0x3b8;
export const SOFT_PENDING = 0x3c0;
/** What to add to the count of executed instructions to get minstret, and mcycle. */
export const MINSTRET_OFFSET = 0x3c8;
export const MCYCLE_OFFSET = 0x3d0;
export const MCOUNTINHIBIT = 0x3d8;
/** pmpcfg0, pmpcfg2, then pmpaddr0 to 15. */
export const PMPCFG = 0x400;
export const PMPADDR = 0x410;

/** Everything architectural lies below. */
export const STATE_END = 0x500;

/**
 * TLBs, direct-mapped by page number: for each kind and each {@link TlbMode}, entries of 16 bytes:
 * an i64 tag (the virtual address of the page) and an i32 to add to a virtual address to get its
 * place in this memory. An empty entry is 0: that is the tag of the lowest page, which is looked up
 * in the first entry alone, and that one has NO_PAGE. So memory that was never used is an empty TLB.
 */
export const TLB = 0x1a_0000;
/** Tag of an empty first entry: no address has these bits after masking. */
export const NO_PAGE = -1;
/** Added to the tag of an entry for writes whose page has compiled code: it never matches. */
export const CODE_TAG = 0x800;
export const TLB_ENTRIES = 4096;
export const TLB_BYTES = TLB_ENTRIES * 16;
/** Bytes of a table that are emptied together, where they were used: a page of the host's. */
export const TLB_PART = 4096;
export const TLB_MODES = 4;
export const TlbKind = { fetch: 0, read: 1, write: 2 } as const;
/** Modes that see different translations; S with SUM matters to data only. */
export const TlbMode = { user: 0, supervisor: 1, supervisorUser: 2, bare: 3 } as const;
/** Offset of the tables of a kind; those of its modes follow each other. */
export const tlbOf = (kind: number): number => TLB + kind * TLB_MODES * TLB_BYTES;
export const TLB_END = TLB + 3 * TLB_MODES * TLB_BYTES;

/**
 * For each half-word a u32: the 32-bit instruction it stands for, with a code of that instruction in place of
 * its opcode, of seven bits; all of these are ones where it is illegal. In the order of the half-words turned
 * right by two bits: those that differ in the lower bits of a register or an immediate lie in one line of the
 * host's cache, and what is no compressed instruction lies apart.
 */
export const EXPANSIONS = 0x4_0000;

/**
 * A bit for each 4 KiB page of RAM, lowest page in bit 0 of the first byte: set once the page was
 * touched. Room for 4 GiB.
 */
export const TOUCHED = 0xc_0000;

/** A bit for each 4 KiB page of RAM, like {@link TOUCHED}: set while compiled code stands for it. */
export const CODE_PAGES = 0xe_0000;
export const CODE_PAGES_END = 0x10_0000;

/**
 * Compiled code by its place in this memory, direct-mapped by a hash of it: entries of 8 bytes, the
 * place (0 where empty) and the index in the table of functions.
 */
export const JUMPS = 0x10_0000;
export const JUMPS_BYTES = 0x8_0000;
/** By so much a place is shifted to bring its page's number, from bit 13 on, into the index. */
export const JUMPS_MIX = 10;
/** Index of the function that stands for compiled code which is not in the table yet, and puts it there. */
export const LOADER = 0;
/** Index of the function that executes what is decoded, see {@link ./decoded/loop.ts}. */
export const DECODED = 1;
/** How far from the entry for a place that for its loose code is. */
export const LOOSE_JUMPS = JUMPS_BYTES / 2;
/** The entry for a place, or for its loose code (`looseAt`). */
export const jumpSlot = (place: number): number =>
  JUMPS +
  ((((place << 2) ^ (place >>> JUMPS_MIX)) & (JUMPS_BYTES - 8)) ^
    (isLoose(place) ? LOOSE_JUMPS : 0));
/**
 * How compiled code is known in which each access asks the TLB for itself (docs/decisions/0237): by the place
 * at which it is entered, an even number, and one.
 */
export const looseAt = (place: number): number => place | 1;
export const isLoose = (place: number): boolean => (place & 1) !== 0;
/** i32 counters of jumps to places without compiled code, direct-mapped by half-word. */
export const COUNTERS = 0x3_0000;
export const COUNTERS_BYTES = 0x1_0000;
/** i32: the function that `run` is to enter; jumps until a place is worth compiling. */
export const ENTERED = 0x608;
export const THRESHOLD = 0x60c;
/** i32: jumps to a place, a power of two, until its page is worth decoding, less one. */
export const WARM_MASK = 0x610;
/** i32: not 0 where a table of mode `supervisor` may have an entry that is not global. */
export const TLB_PRIVATE = 0x614;
/** i32: not 0 once a page had a frame: until then the host need not compile what executes those. */
export const HAS_FRAMES = 0x618;
/** u16 for each table of the TLB, in their order: a bit for each {@link TLB_PART} that may have entries. */
export const TLB_USED = 0x620;
export const SLOTS_END = 0x640;

/**
 * A bit for each 4 KiB page of RAM, like {@link TOUCHED}: set before the page is written. Whoever
 * clears it flushes the TLBs, whose entries for writes stand for pages that are marked.
 */
export const WRITTEN = 0x18_0000;

/**
 * A u16 for each 4 KiB page of RAM: which frame has it decoded, see {@link ./decoded/slots.ts}; 0 for none.
 * Room for 4 GiB.
 */
export const FRAME_OF = 0x26_0000;
export const FRAME_OF_BYTES = 0x20_0000;
/** Frames, from number 1 on: a slot of 8 bytes for each half-word of a page, and one behind those. */
export const FRAMES = FRAME_OF + FRAME_OF_BYTES;
export const FRAME_COUNT = 2038;
/** Not a multiple of a page of the host's: slots of the same offset do not meet in its caches. */
export const FRAME_BYTES = 4 * 4096 + 64;

/** Guest RAM starts here: a multiple of 64 KiB, so that pages of both sides coincide. */
export const RAM_OFFSET = 0x246_0000;
/** Physical address of RAM. */
export const RAM_BASE = 0x8000_0000;

/** Page of RAM that a place of the memory is in. */
export const pageOf = (place: number): number => ((place >>> 0) - RAM_OFFSET) >>> 12;
