import { PreContentGroup } from '@anole/host/native';
import type { OnDemandImage } from '../on-demand/image.ts';
import type { Passing } from '../passing/passed-files.ts';
import { SpareTime } from '../passing/spare-time.ts';
import { WholeFiles } from '../passing/whole-files.ts';
import { Filler, type FillerEvents } from './filler.ts';
import { type FuseEvents, mountThroughFuse } from './fuse-mount.ts';
import { mountByKernel } from './kernel-mount.ts';
import type { Left } from './left-descriptors.ts';
import type { DescriptorKeeper, ImageMount } from './mount.ts';
import type { MountRecord } from './mount-record.ts';
import { cannotTell } from './refusals.ts';

export interface MakerOptions extends FillerEvents, FuseEvents {
  readonly cache: string;
  /** Whether the kernel may read decoded files of new mounts through FUSE by itself. Default false. */
  readonly passthrough?: boolean;
  readonly keeper: DescriptorKeeper;
  /**
   * Descriptor of a group of pre-content events that somebody else keeps too. Without it nothing is
   * mounted by the kernel: holes would be read as zeros when this process ends.
   */
  readonly group?: number;
}

/** Mounts images of either kind, and goes on with mounts of a service that is gone. */
export class MountMaker {
  readonly #options: MakerOptions;
  readonly #passing: Passing;
  #filler: Filler | undefined;

  constructor(options: MakerOptions) {
    this.#options = options;
    const files = WholeFiles.of(options.cache);
    this.#passing = { files, spare: new SpareTime() };
  }

  /** Files that the kernel reads by itself through FUSE. */
  get wholeFiles(): WholeFiles {
    return this.#passing.files;
  }

  /** @throws HostError; ErofsError where the image is damaged */
  async make(image: OnDemandImage, wanted: MountRecord): Promise<ImageMount> {
    const { keeper, passthrough } = this.#options;
    if (wanted.kind === 'kernel') {
      return await mountByKernel(image, wanted, this.#fillerHere(), keeper);
    }
    const passing = passthrough ? this.#passing : undefined;
    return await mountThroughFuse(image, wanted, keeper, { ...this.#options, passing });
  }

  /**
   * Goes on with a mount, as it was made.
   *
   * @param files IDs of blobs of which files were left
   * @throws HostError, ErofsError; then it can be tried again
   */
  async goOn(
    image: OnDemandImage,
    record: MountRecord,
    left: Left,
    files: ReadonlySet<string>,
  ): Promise<ImageMount> {
    const { agreed = 0, readAhead } = record;
    const { keeper } = this.#options;
    if (left.kind === 'kernel') {
      return await mountByKernel(image, record, left.filler, keeper, { readAhead, files });
    }
    const { descriptors } = left;
    const options = { ...this.#options, passing: this.#passing };
    const since = { descriptors, agreed, readAhead };
    return await mountThroughFuse(image, record, keeper, options, since);
  }

  /**
   * Takes over a group that had another owner, whose readers are refused: who waited for that one cannot be told apart
   * from those to come. It is to be started once all mounts have been taken over that can be.
   *
   * @throws HostError
   */
  resume(): Filler {
    const filler = this.#makeFiller();
    filler.group.dismiss();
    this.#filler = filler;
    return filler;
  }

  /** Answers events that it has, and takes no more. */
  async close(): Promise<void> {
    await this.#filler?.close();
  }

  #fillerHere(): Filler {
    if (this.#filler === undefined) {
      this.#filler = this.#makeFiller();
      this.#filler.start();
    }
    return this.#filler;
  }

  #makeFiller(): Filler {
    const { cache, group } = this.#options;
    if (group === undefined) throw cannotTell();
    return new Filler(new PreContentGroup(cache, group), this.#options);
  }
}
