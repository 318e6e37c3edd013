/** Where things are in the memory of the code that sums: eight tables of 256 words, then the bytes. */
export const DATA = 8 * 256 * 4;
/** Bytes that are summed at once, at most. */
export const ROOM = 0x1_0000;
/** Pages of WebAssembly that hold both. */
export const PAGES = 2;
