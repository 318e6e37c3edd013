import type { Stat } from '@anole/vfs';

/**
 * Memory that this side shares with the kernel, for files that it maps instead of reading them into its page
 * cache: the DAX window of virtio-fs.
 */
export interface Window {
  /** Bytes; 0 where there is none after all. */
  readonly size: number;
  /** Bytes of it, to be written at once and not kept. Asked for nothing that does not lie within. */
  at(offset: number, length: number): Uint8Array;
}

/**
 * Below, reading costs the kernel less than it takes of its ranges of 2 MiB, of which there are a few dozen:
 * a file has at least one as long as it is mapped.
 */
const MIN_MAPPED = 0x4_0000;
const EXECUTABLE = 0o111;

/**
 * Whether the kernel is to map this file. Programs are left to the page cache, of which sixteen pages are
 * mapped at a fault, and of a window one.
 */
export function isMapped({ type, size, mode }: Stat): boolean {
  return type === 'file' && size >= MIN_MAPPED && (mode & EXECUTABLE) === 0;
}
