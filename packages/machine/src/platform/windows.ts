import type { VirtioDevice } from '../devices/virtio/device.ts';
import { type GuestMemory, MAX_MEMORY } from '../hart/guest-memory.ts';
import { memoryMap, type Region } from './memory-map.ts';

/**
 * Bytes of a window. The kernel holds 64 bytes for each of its pages, and maps files by 2 MiB of it, at
 * most four fifths at a time.
 */
export const WINDOW_SIZE = 0x400_0000;

/** RAM with the devices' shared memory behind what the kernel is told of. */
export interface RamWithWindows {
  /** Bytes of RAM, the windows included. */
  readonly memorySize: number;
  /** Bytes of the window of each device, by slot: {@link WINDOW_SIZE}, or 0 for those that have none. */
  readonly windows: readonly number[];
}

/**
 * Room for the shared memory of `devices` behind `named` bytes of RAM: for all that have some, or for none
 * where addresses do not suffice. A BAR lies at a multiple of its size, and so does where RAM begins.
 */
export function withWindows(named: number, devices: readonly VirtioDevice[]): RamWithWindows {
  const wanted = devices.map(({ sharedMemory }) => (sharedMemory === undefined ? 0 : WINDOW_SIZE));
  const total = sumOf(wanted);
  const memorySize = Math.ceil(named / WINDOW_SIZE) * WINDOW_SIZE + total;
  return total === 0 || memorySize > MAX_MEMORY
    ? { memorySize: named, windows: devices.map(() => 0) }
    : { memorySize, windows: wanted };
}

/** Where the windows lie, in the order of the slots: at the end of RAM. Undefined where there are none. */
export function windowRegion(memorySize: number, windows: readonly number[]): Region | undefined {
  const size = sumOf(windows);
  return size === 0 ? undefined : { base: memoryMap.ram.base + memorySize - size, size };
}

/** Gives each device the window that it has: of no bytes, too, since it may have had another in another machine. */
export function placeWindows(
  memory: GuestMemory,
  devices: readonly VirtioDevice[],
  windows: readonly number[],
): void {
  let base = windowRegion(memory.size, windows)?.base ?? 0;
  for (const [slot, { sharedMemory }] of devices.entries()) {
    const size = windows[slot] ?? 0;
    sharedMemory?.place(memory, base, size);
    base += size;
  }
}

/** Whether a machine can have such windows: what a snapshot says may be anything. */
export function areWindows(windows: readonly unknown[], memorySize: number): boolean {
  return (
    windows.every((size) => size === 0 || size === WINDOW_SIZE) &&
    sumOf(windows as readonly number[]) < memorySize &&
    (windows.every((size) => size === 0) || memorySize % WINDOW_SIZE === 0)
  );
}

function sumOf(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}
