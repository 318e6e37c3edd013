import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReadOptions } from '@anole/bytes';
import { HostError, unpackTree } from '@anole/host';
import {
  formatReference,
  type Image,
  openImage,
  type Platform,
  parseFullReference,
  readNamed,
} from '@anole/oci';
import { imageTree, openReader, parseLocation, type Surroundings } from '@anole/oci/node';
import type { OnDemandImages } from '../snapshotter/layers.ts';
import type { OnDemandLayer, Usage } from '../snapshotter/snapshot.ts';
import { type ImageWithVariant, imagesWithVariants } from './find-variant.ts';

/** Mounts images whose data come when they are read: the service of images does. */
export interface ImageMounter {
  /** Directories on which images are mounted: absolute, without links. */
  mounted(): Promise<readonly string[]>;
  /** What is here of what is mounted, by directories; nothing where nobody can tell. */
  usage(): Promise<ReadonlyMap<string, Usage>>;
  /** @param image `docker://HOST/NAME@DIGEST` */
  mount(image: string, directory: string): Promise<void>;
  unmount(directory: string): Promise<void>;
}

export interface RegistryImagesOptions extends Surroundings {
  readonly mounter: ImageMounter;
  /** Of containers. */
  readonly platform: Platform;
  /** Where images are mounted, each on a directory of its own. */
  readonly directory: string;
}

/** Milliseconds for which what is here stays what it was: containerd asks of all snapshots, one after the other. */
const FRESH = 1000;
/** Names of images of which is remembered what was found. */
const MAX_KNOWN = 256;

/** Images of registries that load on demand, or have variants that do, mounted by the service of images. */
export class RegistryImages implements OnDemandImages {
  readonly #options: RegistryImagesOptions;
  readonly #known = new Map<string, readonly ImageWithVariant[]>();
  readonly #mounting = new Map<string, Promise<void>>();
  #usage: { readonly since: number; readonly all: ReturnType<ImageMounter['usage']> } | undefined;

  private constructor(options: RegistryImagesOptions) {
    this.#options = options;
  }

  /** Makes the directory where it is missing. @throws the disk */
  static async open(options: RegistryImagesOptions): Promise<RegistryImages> {
    await mkdir(options.directory, { recursive: true, mode: 0o755 });
    // As the mounter says where something is mounted.
    return new RegistryImages({ ...options, directory: await realpath(options.directory) });
  }

  async find(
    name: string,
    chainId: string,
    options: ReadOptions = {},
  ): Promise<OnDemandLayer | undefined> {
    const { host, repository } = parseFullReference(name);
    const at = (digest: string) => formatReference({ host, repository, digest });
    const remembered = this.#known.get(name) ?? [];
    // A chain ID says all that is in a layer and below it: what was found once stays true.
    const images = remembered.some(({ chainIds }) => chainIds.includes(chainId))
      ? remembered
      : await this.#look(name, options);
    for (const { original, variant, chainIds } of images) {
      const depth = chainIds.indexOf(chainId) + 1;
      if (depth === 0) continue;
      const isLast = depth === chainIds.length;
      return { original: at(original), variant: at(variant), depth, isLast };
    }
    return undefined;
  }

  async mount(variant: string): Promise<string> {
    const directory = this.#directoryOf(variant);
    let work = this.#mounting.get(directory);
    if (work === undefined) {
      work = this.#mountOn(variant, directory);
      this.#mounting.set(directory, work);
    }
    try {
      await work;
    } finally {
      this.#mounting.delete(directory);
    }
    return directory;
  }

  async usage(variant: string): Promise<Usage | undefined> {
    const now = performance.now();
    if (this.#usage === undefined || now - this.#usage.since > FRESH) {
      this.#usage = { since: now, all: this.#options.mounter.usage() };
    }
    return (await this.#usage.all).get(this.#directoryOf(variant));
  }

  async unpack(
    original: string,
    depth: number,
    directory: string,
    options: ReadOptions = {},
  ): Promise<void> {
    using from = await openReader(parseLocation(`docker://${original}`), this.#options, options);
    const root = await from.reader.resolve(from.selector, options);
    // A manifest needs no platform.
    const image = await openImage(from.reader, root, { os: '', architecture: '' }, options);
    const scratch = this.#options.directory;
    await mkdir(scratch, { recursive: true, mode: 0o700 });
    const tree = await imageTree(lowest(image, depth), { ...options, scratch });
    try {
      const { skipped } = await unpackTree(tree, directory, options);
      if (skipped.length === 0) return;
      const [{ path, reason }] = skipped as [(typeof skipped)[number]];
      throw new HostError('HOST_IO', `Cannot unpack ${original}: ${path}: ${reason}`, {
        details: { skipped: skipped.length },
        hint: 'It needs root, and setfattr of the package attr.',
      });
    } finally {
      await tree.close?.();
    }
  }

  async unmountOthers(wanted: ReadonlySet<string>): Promise<void> {
    const kept = new Set([...wanted].map((variant) => this.#directoryOf(variant)));
    const { mounter, directory: base } = this.#options;
    for (const directory of await mounter.mounted()) {
      if (!directory.startsWith(`${base}/`) || kept.has(directory)) continue;
      if (!this.#mounting.has(directory)) await mounter.unmount(directory);
    }
  }

  async #look(name: string, options: ReadOptions): Promise<readonly ImageWithVariant[]> {
    using from = await openReader(parseLocation(`docker://${name}`), this.#options, options);
    const root = await readNamed(from.reader, from.selector, options);
    const images = await imagesWithVariants(from.reader, root, this.#options.platform, options);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(name, images);
    return images;
  }

  async #mountOn(variant: string, directory: string): Promise<void> {
    const { mounter } = this.#options;
    if ((await mounter.mounted()).includes(directory)) return;
    await mkdir(directory, { recursive: true, mode: 0o755 });
    await mounter.mount(`docker://${variant}`, directory);
  }

  #directoryOf(variant: string): string {
    const { digest = '' } = parseFullReference(variant);
    return join(this.#options.directory, digest.replace(/^sha256:/, ''));
  }
}

/** An image without what lies above some layers. */
function lowest({ manifest, config, ...image }: Image, depth: number): Image {
  return {
    ...image,
    manifest: { ...manifest, layers: manifest.layers.slice(0, depth) },
    config: { ...config, diffIds: config.diffIds.slice(0, depth) },
  };
}
