/** A memory of a machine that ended, or of one to come. */
export interface UsedMemory {
  readonly wasm: WebAssembly.Memory;
  /**
   * A bit for each page of RAM that may hold what the guest left there, as in `TOUCHED`; undefined for a
   * memory that nobody used yet.
   */
  readonly stale: Uint8Array | undefined;
}

/** Memories that are kept: what guests left in them takes memory of the host. */
const MAX_KEPT = 2;

const kept: UsedMemory[] = [];

/**
 * Memory for a machine of so many bytes, if one was kept. Making one anew takes address space of ten
 * gigabytes, has the collector of garbage run, and a fault of the host for each page that is touched.
 */
export function takeMemory(bytes: number): UsedMemory | undefined {
  const found = kept.findIndex(({ wasm }) => wasm.buffer.byteLength === bytes);
  return found < 0 ? undefined : kept.splice(found, 1)[0];
}

/** Whether one of so many bytes is kept. */
export function hasMemory(bytes: number): boolean {
  return kept.some(({ wasm }) => wasm.buffer.byteLength === bytes);
}

/** Keeps a memory that nothing uses any more. */
export function giveMemory(memory: UsedMemory): void {
  kept.push(memory);
  if (kept.length > MAX_KEPT) kept.shift();
}
