import type { ReadOptions, Source } from '@anole/bytes';
import type { Descriptor } from '@anole/oci';
import {
  type OpenedReader,
  openBlob,
  openReader,
  parseLocation,
  type Surroundings,
} from '@anole/oci/node';
import type { ImageBlobs } from './image.ts';

/**
 * What an image is made of, where its name says that it is: a registry, with its mirrors and credentials,
 * or any other place of images. Nobody is asked before the first byte is needed.
 */
export function placeBlobs(name: string, around: Surroundings): ImageBlobs {
  let opened: Promise<OpenedReader> | undefined;
  const open = (): Promise<OpenedReader> => {
    opened ??= openReader(parseLocation(name), around);
    // What could not be opened is tried again.
    opened.catch(() => {
      opened = undefined;
    });
    return opened;
  };
  const way = { fresh: false };
  return {
    source: (blob) => new BlobOfPlace(blob, open, way),
    distrust() {
      way.fresh = true;
    },
    close: () => void opened?.then((place) => place[Symbol.dispose]()).catch(() => undefined),
  };
}

/** How blobs of an image are asked for. */
interface Way {
  readonly fresh: boolean;
}

class BlobOfPlace implements Source {
  readonly size: number;
  readonly #blob: Descriptor;
  readonly #open: () => Promise<OpenedReader>;
  readonly #way: Way;
  #source: Promise<Source> | undefined;
  #isFresh = false;

  constructor(blob: Descriptor, open: () => Promise<OpenedReader>, way: Way) {
    this.size = blob.size;
    this.#blob = blob;
    this.#open = open;
    this.#way = way;
  }

  async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    if (this.#way.fresh && !this.#isFresh) {
      await this.close();
      this.#source = undefined;
      this.#isFresh = true;
    }
    this.#source ??= this.#find();
    return await (await this.#source).read(offset, length, options);
  }

  async close(): Promise<void> {
    await (await this.#source?.catch(() => undefined))?.close?.();
  }

  async #find(): Promise<Source> {
    try {
      const { reader } = await this.#open();
      return openBlob(reader, this.#blob, { fresh: this.#isFresh });
    } catch (error) {
      this.#source = undefined;
      throw error;
    }
  }
}
