import { closeSync } from 'node:fs';
import { OpenFiles } from '../passing/open-files.ts';
import type { Filler } from './filler.ts';
import { type DescriptorNames, descriptorNames } from './fuse-mount.ts';
import type { MountRecord } from './mount-record.ts';

/**
 * Descriptors of a FUSE mount whose service is gone. Whoever goes on with the mount takes them over; until then, each
 * time that it fails, they are here.
 */
export class LeftDescriptors implements Disposable {
  /** Of /dev/fuse. */
  readonly device: number;
  readonly #open: number | undefined;
  #table: OpenFiles | undefined;

  private constructor(device: number, open: number | undefined) {
    this.device = device;
    this.#open = open;
  }

  /** Those of one mount, of all that were left. Undefined without a device: then none is kept open. */
  static among(
    descriptors: ReadonlyMap<string, number>,
    names: DescriptorNames,
  ): LeftDescriptors | undefined {
    const device = descriptors.get(names.device);
    const open = descriptors.get(names.open);
    if (device !== undefined) return new LeftDescriptors(device, open);
    if (open !== undefined) closeSync(open);
    return undefined;
  }

  /**
   * What was noted of open files, the same each time; undefined where nothing was noted, and so no file passed.
   *
   * @throws HostError `HOST_NO_NATIVE`
   */
  get open(): OpenFiles | undefined {
    if (this.#open !== undefined) this.#table ??= OpenFiles.resume(this.#open);
    return this.#table;
  }

  /** Closes them, where nobody has taken them over. */
  [Symbol.dispose](): void {
    closeSync(this.device);
    if (this.#table !== undefined) this.#table[Symbol.dispose]();
    else if (this.#open !== undefined) closeSync(this.#open);
  }
}

/** What it takes to go on with a mount. */
export type Left =
  | { readonly kind: 'fuse'; readonly descriptors: LeftDescriptors }
  | { readonly kind: 'kernel'; readonly filler: Filler };

/** Undefined where the mount's descriptors are lost, and so the mount. */
export function leftOf(
  record: MountRecord,
  all: ReadonlyMap<string, number>,
  filler: Filler | undefined,
): Left | undefined {
  if (record.kind === 'kernel') return filler && { kind: 'kernel', filler };
  const descriptors = LeftDescriptors.among(all, descriptorNames(record));
  return descriptors && { kind: 'fuse', descriptors };
}
