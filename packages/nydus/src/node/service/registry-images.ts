import type { ReadOptions, Source } from '@anole/bytes';
import {
  blobSource,
  type Descriptor,
  manifestIn,
  OciError,
  type Platform,
  readNamed,
} from '@anole/oci';
import { type ImageLocation, openReader, parseLocation, type Surroundings } from '@anole/oci/node';
import { isOnDemand } from './on-demand.ts';
import type { OnDemandReference } from './service.ts';

/**
 * Finds the variant of an image that loads on demand.
 *
 * @param name `docker://HOST/NAME:TAG`, or any other place of images
 * @throws OciError `OCI_UNSUPPORTED` where the image has none
 */
export async function findOnDemand(
  name: string,
  platform: Platform,
  around: Surroundings,
  options: ReadOptions = {},
): Promise<OnDemandReference> {
  using from = await openReader(parseLocation(name), around, options);
  const root = await readNamed(from.reader, from.selector, options);
  const preferred = { ...platform, features: ['erofs'] };
  const { content } = await manifestIn(from.reader, root, preferred, options);
  const [layer] = content.layers;
  if (content.layers.length === 1 && layer && isOnDemand(layer)) return { name, layer };
  throw new OciError('OCI_UNSUPPORTED', `Cannot load ${name} on demand: it has no such variant`, {
    hint: `anole image convert ${name} DESTINATION`,
  });
}

/** A layer's bytes. The registry is not asked before the first of them is needed. */
export function layerSource({ name, layer }: OnDemandReference, around: Surroundings): Source {
  return new LayerSource(parseLocation(name), layer, around);
}

class LayerSource implements Source {
  readonly size: number;
  readonly #location: ImageLocation;
  readonly #layer: Descriptor;
  readonly #around: Surroundings;
  #source: Promise<Source> | undefined;

  constructor(location: ImageLocation, layer: Descriptor, around: Surroundings) {
    this.size = layer.size;
    this.#location = location;
    this.#layer = layer;
    this.#around = around;
  }

  async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    this.#source ??= this.#open();
    try {
      return await (await this.#source).read(offset, length, options);
    } catch (error) {
      // What could not be opened is tried again.
      this.#source = undefined;
      throw error;
    }
  }

  async #open(): Promise<Source> {
    const { reader } = await openReader(this.#location, this.#around);
    return blobSource(reader, this.#layer);
  }
}
