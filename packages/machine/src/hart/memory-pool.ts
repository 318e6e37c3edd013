/**
 * Whether memories are declared as shared, also where one thread alone works on them, and with them the code that
 * does: V8 counts others as allocated, all of RAM each, and collects garbage for each that is made. The code is the
 * same (docs/decisions/0242). Pages of browsers that are not `crossOriginIsolated` have none to share.
 */
export const isDeclaredShared = typeof SharedArrayBuffer === 'function';

/** A memory of a machine that ended. */
export interface UsedMemory {
  readonly wasm: WebAssembly.Memory;
  /** A bit for each page of RAM that may hold what the guest left there, as in `TOUCHED`. */
  readonly stale: Uint8Array;
}

/** Memories that are kept: what guests left in them takes memory of the host. */
const MAX_KEPT = 2;
/** V8 collects garbage when there is so much more than after the last time (64 MiB, and a little). */
const NOTICED = 65 << 20;
/** Machines that end together are collected together. */
const NOTICED_AFTER = 100; // ms

const kept: UsedMemory[] = [];
/** Whether {@link notice} is to come. */
let isNoticing = false;

/** A memory that never grows, of so many pages of 64 KiB. @throws RangeError where the host has none */
export function makeMemory(pages: number, shared = isDeclaredShared): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
}

/**
 * Memory for a machine of so many bytes, if one was kept. Making one anew takes address space of ten
 * gigabytes, and a fault of the host for each page that is touched.
 */
export function takeMemory(bytes: number): UsedMemory | undefined {
  const found = kept.findIndex(({ wasm }) => wasm.buffer.byteLength === bytes);
  return found < 0 ? undefined : kept.splice(found, 1)[0];
}

/** Keeps a memory that nothing uses any more. */
export function giveMemory(memory: UsedMemory): void {
  kept.push(memory);
  if (kept.length <= MAX_KEPT) return;
  kept.shift();
  if (!isDeclaredShared || isNoticing) return;
  isNoticing = true;
  const timer: { unref?: () => void } | number = setTimeout(notice, NOTICED_AFTER);
  // It keeps no process alive; those of browsers are numbers.
  if (typeof timer === 'object') timer.unref?.();
}

/** What is not counted does not make itself noticed as garbage, and it holds what guests touched. */
function notice(): void {
  isNoticing = false;
  new ArrayBuffer(NOTICED);
}
