import { AnoleError } from '@anole/bytes';
import { systemCode } from '@anole/host';
import type { FuseBackings } from '@anole/host/native';
import type { WholeFiles } from './whole-files.ts';

/** Milliseconds until it is tried again where what was in the way may pass. */
const PAUSE = 10_000;
/** The disk is full, or the process or the computer has no more of something. */
const passing: ReadonlySet<unknown> = new Set([
  'EDQUOT',
  'EINTR',
  'EIO',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ENOSPC',
]);

/** Whether files of the cache can be passed: found out with an empty one. */
export class Trial {
  readonly #files: WholeFiles;
  readonly #device: FuseBackings;
  #running: Promise<void> | undefined;
  #again = 0;
  #state: 'unknown' | 'can' | 'never' = 'unknown';
  #why: string | undefined;

  /** @param isKnown whether files were passed already */
  constructor(files: WholeFiles, device: FuseBackings, isKnown: boolean) {
    this.#files = files;
    this.#device = device;
    if (isKnown) this.#state = 'can';
  }

  /** `unknown`: not tried, or it failed for a reason that may pass. */
  get state(): 'unknown' | 'can' | 'never' {
    return this.#state;
  }

  /** Why they cannot, as the last trial found. */
  get why(): string | undefined {
    return this.#why;
  }

  /** Tries. Undefined where that is known, or was tried a moment ago. */
  run(): Promise<void> | undefined {
    if (this.#state !== 'unknown') return undefined;
    if (this.#running === undefined && performance.now() < this.#again) return undefined;
    this.#running ??= this.#try().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #try(): Promise<void> {
    try {
      await this.#files.tryOne((fd) => this.#device.close(this.#device.open(fd)));
      this.#state = 'can';
      this.#why = undefined;
    } catch (error) {
      this.#why = String(error);
      if (isPassing(error)) this.#again = performance.now() + PAUSE;
      else this.#state = 'never';
    }
  }
}

function isPassing(error: unknown): boolean {
  return passing.has(AnoleError.is(error) ? error.details['system'] : systemCode(error));
}
