/**
 * Where things lie in the hart's part of the WebAssembly memory, below guest RAM. All values are
 * byte offsets from 0; 64-bit slots are 8-aligned. One hart per memory.
 */

/** x0 to x31, 8 bytes each. x0 is a slot like the others and holds 0 between instructions. */
export const X = 0x000;
/** f0 to f31, 8 bytes each, narrower values NaN-boxed. */
export const F = 0x100;

/** Guest RAM starts here: a multiple of 64 KiB, so that pages of both sides coincide. */
export const RAM_OFFSET = 0x10_0000;
