import type { ImageMount } from './mount.ts';
import type { MountRecord } from './mount-record.ts';

/** A mount that is served. */
export interface Served {
  readonly record: MountRecord;
  readonly mount: ImageMount;
}

/** How often is looked whether those who have them are gone, in milliseconds. */
const SWEEP = 1000;

/**
 * Mounts that are on their directories no more, but below an overlay, or in another name space: they are served until
 * nobody has them.
 */
export class DetachedMounts {
  readonly #all = new Set<Served>();
  readonly #onGone: () => void;
  readonly #onFault: (error: unknown) => void;
  #sweeper: NodeJS.Timeout | undefined;

  /**
   * @param onGone told when nobody has one any more
   * @param onFault told of what giving one up raises, later than in {@link add}
   */
  constructor(onGone: () => void, onFault: (error: unknown) => void) {
    this.#onGone = onGone;
    this.#onFault = onFault;
  }

  get all(): readonly Served[] {
    return [...this.#all];
  }

  /** Gives a mount up, at once or when nobody has it any more. */
  async add({ record, mount }: Served): Promise<void> {
    if (!mount.isInUse()) return await mount.release();
    this.#all.add({ mount, record: { ...record, isDetached: true } });
    this.#sweeper ??= setInterval(() => void this.#sweep().catch(this.#onFault), SWEEP).unref();
  }

  close(): void {
    clearInterval(this.#sweeper);
  }

  async #sweep(): Promise<void> {
    for (const each of this.#all) {
      if (each.mount.isInUse()) continue;
      this.#all.delete(each);
      // Others are given up although one cannot be.
      await each.mount.release().catch(this.#onFault);
      this.#onGone();
    }
    if (this.#all.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }
}
