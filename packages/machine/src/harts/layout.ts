/**
 * Where harts of one machine meet: in the memory that they share, below RAM, a block of 4 KiB for each
 * hart. All values are byte offsets in the block; words of 4 bytes unless said otherwise.
 */

export const MAX_HARTS = 16;
export const BLOCK = 0x1000;
export const blockOf = (hart: number): number => BLOCK * (hart + 1);

/** i32s, 0 or a place that some hart compiles for all: behind the blocks. */
export const CLAIMS = blockOf(MAX_HARTS);
export const CLAIMS_COUNT = 4096;

/** Not 0 while the hart is to look up from its instructions. */
export const ATTENTION = 0x00;
/** Counted up whenever the hart may have to wake; what it waits on. */
export const DOORBELL = 0x04;
/**
 * Counted up when the hart goes to sleep (it waits for an interrupt, or is stopped) and when it wakes:
 * even while it sleeps. It looks up before it goes on.
 */
export const TURNS = 0x08;
/** Interrupt lines held by devices: bits as in mip. */
export const LINES = 0x0c;
/** Not 0 where another hart sent an IPI that was not taken yet. */
export const IPI = 0x10;
/** {@link HartStatus}. */
export const STATUS = 0x14;
/** Not 0 once START_PC and START_ARGUMENT hold where to start. */
export const START_READY = 0x18;
/** Not 0 while all harts are to stand still. */
export const PAUSE = 0x1c;
/** Not 0 while the hart stands still, its state in DATA. */
export const PAUSED = 0x20;
/** Modules of code that others gave to the hart, and it did not take yet. */
export const GIVEN = 0x28;
/** Fences that were asked of the hart, counted, and those that it did: for each {@link Fence}. */
export const FENCES_WANTED = 0x80;
export const FENCES_DONE = 0x90;
/** What this hart asks of others: so many pages (0 where none) from a virtual address (i64) on. */
export const FENCE_PAGES = 0xa0;
export const FENCE_ADDRESS = 0xa8;
/** Harts that wait for such a fence, a bit each. */
export const FENCE_WAITERS = 0x38;
/** In hart 0's block: counted up when a device has written to RAM. */
export const DEVICE_WRITES = 0x78;
/** In hart 0's block: harts that call its thread, a bit each. */
export const CALLERS = 0x3c;
/** Not 0 once the thread of the hart is there. */
export const READY = 0x24;
/** i64, i64. */
export const START_PC = 0x40;
export const START_ARGUMENT = 0x48;
/** {@link Call} under way to hart 0's thread, 0 where none; its arguments and result. */
export const CALL = 0x50;
export const CALL_SIZE = 0x54;
export const CALL_VALUE = 0x58;
/** f64. */
export const CALL_ADDRESS = 0x60;
/** f64: instructions retired, and milliseconds spent on them. */
export const INSTRUCTIONS = 0x68;
export const BUSY = 0x70;
/**
 * Bytes: what `Hart.saveState` gave, while PAUSED; what to restore, at the start; what to print,
 * during such a call.
 */
export const DATA = 0x100;
export const MAX_PRINT = BLOCK - DATA;

/** States of a hart (SBI 2.0, table "HSM Hart States"). */
export const HartStatus = { started: 0, stopped: 1, startPending: 2 } as const;

/** Kinds of fences that one hart asks of another. */
export const Fence = { all: 0, code: 1, space: 2, pages: 3 } as const;
export type Fence = (typeof Fence)[keyof typeof Fence];

/** What a hart asks of the thread that has the devices. */
export const Call = { read: 1, write: 2, print: 3, shutdown: 4, reset: 5, page: 6 } as const;
export type Call = (typeof Call)[keyof typeof Call];
