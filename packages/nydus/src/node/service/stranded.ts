import type { MountRecord } from './mount-record.ts';

/** How often it is tried again, in milliseconds. */
const PAUSE = 2000;

/** What is left of a mount: given up where it is unmounted before somebody could go on with it. */
export interface LeftMount extends Disposable {
  /** @param record as it is known by now: it may be unmounted meanwhile */
  adopt(record: () => MountRecord): Promise<void>;
}

interface Stranded {
  record: MountRecord;
  readonly left: LeftMount;
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
  /** The one that is being tried again. */
  #trying: Stranded | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(events: StrandedEvents) {
    this.#events = events;
  }

  get records(): readonly MountRecord[] {
    return [...this.#all].map(({ record }) => record);
  }

  /** Takes a mount over, or tries again later where that fails. */
  async adopt(record: MountRecord, left: LeftMount): Promise<void> {
    try {
      await left.adopt(() => record);
    } catch (error) {
      this.#events.onFailure(record, error);
      this.#all.add({ record, left });
      if (this.#all.size === 1) this.#tryLater();
    }
  }

  /**
   * Notes that a mount is on its directory no more. One of the kernel may be below an overlay all the same: it
   * waits to be taken over, and is looked at then. So is one that is being tried, whose descriptors are in use.
   */
  unmounted(record: MountRecord): void {
    const each = [...this.#all].find((other) => other.record === record);
    if (each === undefined) return;
    each.record = { ...record, isDetached: true };
    if (record.kind === 'kernel') return;
    this.#all.delete(each);
    if (each !== this.#trying) each.left[Symbol.dispose]();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #tryLater(): void {
    this.#timer = setTimeout(() => void this.#tryAll(), PAUSE).unref();
  }

  async #tryAll(): Promise<void> {
    for (const each of this.#all) await this.#try(each);
    this.#events.onChange();
    if (this.#all.size > 0 && !this.#isClosed) this.#tryLater();
  }

  async #try(each: Stranded): Promise<void> {
    this.#trying = each;
    const isDone = await each.left
      .adopt(() => each.record)
      .then(
        () => true,
        () => false,
      );
    this.#trying = undefined;
    if (isDone) this.#all.delete(each);
    else if (!this.#all.has(each)) each.left[Symbol.dispose]();
  }
}
