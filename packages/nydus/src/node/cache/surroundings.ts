import { systemCode } from '@anole/host';
import type { Pace } from './pace.ts';
import type { WaitingReaders } from './queue.ts';

/** Who is told what becomes of blobs. */
export interface BlobEvents {
  /** A chunk of the file is not what it should be. It is fetched again. */
  onDamaged?(place: DamagedPlace): void;
  /** That failed: whoever reads it gets an error. */
  onUnhealed?(place: DamagedPlace, error: unknown): void;
}

/** A chunk in the file of the blob of that ID. */
export interface DamagedPlace {
  readonly blob: string;
  readonly offset: number;
  readonly length: number;
}

/** Who lets others read a blob's file, and is told at once. */
export interface BlobWatcher {
  /** The file has bytes no more, proven, from `start` to before `end`. */
  lost(start: number, end: number): void;
  /** It has all, proven. */
  whole(): void;
}

/** What a blob has of its cache. */
export interface BlobSurroundings {
  /** Of its file, from an owner that is gone. It passes to the blob. */
  readonly descriptor?: number;
  readonly events: BlobEvents;
  /** Of all blobs on the link, before which nothing is fetched ahead. */
  readonly readers: WaitingReaders;
  readonly pace?: Pace | undefined;
  /** More of the disk is taken. */
  onGrown(): void;
  /** Frees so many bytes of a disk that is full, if that can be. */
  freeDisk(bytes: number): Promise<boolean>;
  /** It is used for the last time. */
  onClosing(): void;
  onClosed(): Promise<void>;
}

/** Whether something was not written because the disk is full. */
export function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'HOST_NO_SPACE'].includes(systemCode(error) ?? '');
}
