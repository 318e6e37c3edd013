import type { MountRecord } from './service.ts';

/** How often it is tried again, in milliseconds. */
const PAUSE = 2000;

interface Stranded {
  record: MountRecord;
  adopt(record: MountRecord): Promise<void>;
}

export interface StrandedEvents {
  onFailure(record: MountRecord, error: unknown): void;
  /** It was tried again: mounts may have been taken over. */
  onChange(): void;
}

/**
 * Mounts of a service that is gone which the next cannot take over yet: the registry is away, and what of the
 * image is needed to open it is not here. It is tried again until it can; the other mounts go on meanwhile.
 */
export class StrandedMounts {
  readonly #all = new Set<Stranded>();
  readonly #events: StrandedEvents;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(events: StrandedEvents) {
    this.#events = events;
  }

  get records(): readonly MountRecord[] {
    return [...this.#all].map(({ record }) => record);
  }

  /** Takes a mount over, or tries again later where that fails. */
  async adopt(record: MountRecord, adopt: Stranded['adopt']): Promise<void> {
    try {
      await adopt(record);
    } catch (error) {
      this.#events.onFailure(record, error);
      this.#all.add({ record, adopt });
      if (this.#all.size === 1) this.#tryLater();
    }
  }

  /**
   * Notes that a mount is on its directory no more. One of the kernel may be below an overlay all the same: it
   * waits to be taken over, and is looked at then.
   */
  unmounted(record: MountRecord): void {
    for (const each of this.#all) {
      if (each.record !== record) continue;
      if (record.kind === 'fuse') this.#all.delete(each);
      else each.record = { ...record, isDetached: true };
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #tryLater(): void {
    this.#timer = setTimeout(() => void this.#tryAll(), PAUSE).unref();
  }

  async #tryAll(): Promise<void> {
    for (const each of this.#all) {
      const isDone = await each.adopt(each.record).then(
        () => true,
        () => false,
      );
      if (isDone) this.#all.delete(each);
    }
    this.#events.onChange();
    if (this.#all.size > 0 && !this.#isClosed) this.#tryLater();
  }
}
