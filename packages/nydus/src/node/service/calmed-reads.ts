import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithms } from '@anole/erofs/format';
import type { CachedBlob } from '../cache/blob.ts';
import type { OnDemandImage } from '../on-demand/image.ts';

/** Where the kernel says of each file system how far it reads ahead. Source: Linux Documentation/ABI/testing/sysfs-class-bdi */
const DEVICES = '/sys/class/bdi';
/** What EROFS calls its own there: `erofs-` and a number that is never used twice. */
const NAME = /^erofs-\d+$/;
/** Kilobytes: a page. */
const LEAST = '4';
/** Milliseconds between two looks. */
const LOOK = 200;
/** Looks at which nothing came: what a start reads is here. */
const QUIET = 5;
/** Looks at most once all that was foreseen is here: who reads on is no start any more. */
const PATIENCE = 25;
/** Looks after which what is still foreseen is too much to wait for: who reads by then is no start either. */
const MOST_COMING = 50;

/** How far the kernel reads ahead of who reads a mount, unless it is kept from it. */
export interface ReadAheadOfKernel {
  /** Its name in /sys/class/bdi. */
  readonly device: string;
  readonly kilobytes: string;
}

/** Names of the file systems of EROFS that are mounted. */
export function erofsDevices(): ReadonlySet<string> {
  try {
    return new Set(readdirSync(DEVICES).filter((name) => NAME.test(name)));
  } catch {
    return new Set();
  }
}

/** The one that was mounted since; undefined where it is not certain which that is. */
export function erofsDeviceSince(before: ReadonlySet<string>): string | undefined {
  const added = [...erofsDevices()].filter((name) => !before.has(name));
  return added.length === 1 ? added[0] : undefined;
}

/** The name of what is mounted on a directory, where it has no device of its own, as through FUSE. */
export async function deviceOf(directory: string): Promise<string> {
  const { dev } = await stat(directory);
  return `${(dev >>> 8) & 0xfff}:${(dev & 0xff) | ((dev >>> 12) & 0xfff00)}`;
}

/** Whether the kernel keeps no more of a pcluster than the pages that were asked for. */
export function decodesPages({ tree }: OnDemandImage): boolean {
  return (tree.info.algorithms & ~(1 << algorithms.lz4)) === 0;
}

/**
 * While what a program reads first, as was foreseen, comes from afar, the kernel is to read pages: around each fault it reads
 * 128 KiB, most of which nobody asked for, and all of which is waited for. It decodes whole pclusters all the same.
 * Once nothing comes any more, it reads ahead as it does.
 */
export class CalmedReads {
  #readAhead: ReadAheadOfKernel | undefined;
  readonly #blobs: readonly CachedBlob[];
  #timer: NodeJS.Timeout | undefined;
  #fetches = -1;
  #quiet = 0;
  #looks = 0;
  #looksComing = 0;

  private constructor(readAhead: ReadAheadOfKernel, blobs: readonly CachedBlob[]) {
    this.#readAhead = readAhead;
    this.#blobs = blobs;
    this.#timer = setInterval(() => this.#look(), LOOK).unref();
  }

  /** Undefined where there is no use, as all is here or nothing foreseen, or the kernel does not let itself be calmed. */
  static begin(device: string, { blobs }: OnDemandImage): CalmedReads | undefined {
    if (
      !blobs.some(
        ({ foreseen, isWhole }) => foreseen !== 'none' && foreseen !== 'wrong' && !isWhole,
      )
    )
      return undefined;
    try {
      const file = join(DEVICES, device, 'read_ahead_kb');
      const kilobytes = readFileSync(file, 'utf8').trim();
      writeFileSync(file, LEAST);
      return new CalmedReads({ device, kilobytes }, blobs);
    } catch {
      // A container may have no /sys to write to.
      return undefined;
    }
  }

  /** Goes on where a service that is gone calmed reads. */
  static resume(readAhead: ReadAheadOfKernel, { blobs }: OnDemandImage): CalmedReads {
    return new CalmedReads(readAhead, blobs);
  }

  /** What the kernel is to do again. Undefined once it does. */
  get readAhead(): ReadAheadOfKernel | undefined {
    return this.#readAhead;
  }

  /** The mount is gone. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Lets the kernel read ahead again, unless somebody has told it something else meanwhile. */
  end(): void {
    this.stop();
    if (this.#readAhead === undefined) return;
    const { device, kilobytes } = this.#readAhead;
    this.#readAhead = undefined;
    try {
      const file = join(DEVICES, device, 'read_ahead_kb');
      if (readFileSync(file, 'utf8').trim() === LEAST) writeFileSync(file, kilobytes);
    } catch {
      // It was unmounted meanwhile.
    }
  }

  #look(): void {
    const fetches = this.#blobs.reduce((sum, { counters }) => sum + counters.fetches, 0);
    const isQuiet = fetches === this.#fetches && this.#blobs.every(({ coming }) => coming === 0);
    this.#fetches = fetches;
    this.#quiet = isQuiet ? this.#quiet + 1 : 0;
    const foreseen = new Set(this.#blobs.map((blob) => blob.foreseen));
    if (!foreseen.has('coming') || ++this.#looksComing > MOST_COMING) this.#looks++;
    const isOver = this.#looks > 0 && (this.#quiet >= QUIET || this.#looks > PATIENCE);
    if (isOver || foreseen.has('wrong')) this.end();
  }
}
