import type { ReadOptions, Source } from '@anole/bytes';
import { Pace } from '../cache/pace.ts';
import type { ImageBlobs } from '../on-demand/image.ts';

/** What came from a place where images are. */
export interface BackEndFigures {
  readonly name: string;
  readonly requests: number;
  /** Of what was asked for. */
  readonly bytes: number;
  readonly failures: number;
  /** Whether the last request failed. */
  readonly isFailing: boolean;
  /** Where it did: when the first failed of those since which none succeeded. */
  readonly failingSince?: string;
  readonly lastFailure?: { readonly at: string; readonly reason: string };
}

/** Counts what is asked of back ends, and keeps all of it together below a rate. */
export class BackEnds {
  /** Of all together. */
  readonly pace = new Pace();
  readonly #figures = new Map<string, BackEndFigures>();

  get figures(): readonly BackEndFigures[] {
    return [...this.#figures.values()];
  }

  /** What an image is made of, at the back end of that name: each read is a request. */
  blobs(name: string, far: ImageBlobs): ImageBlobs {
    return {
      source: (blob) => this.#source(name, far.source(blob)),
      distrust: () => far.distrust?.(),
      close: () => far.close?.(),
    };
  }

  #source(name: string, far: Source): Source {
    return {
      size: far.size,
      read: (offset, length, options) => this.#read(name, far, offset, length, options),
      close: () => far.close?.(),
    };
  }

  async #read(
    name: string,
    far: Source,
    offset: number,
    length: number,
    options?: ReadOptions,
  ): Promise<Uint8Array> {
    await this.pace.turn(length, options?.signal);
    try {
      const bytes = await far.read(offset, length, options);
      this.#count(name, length);
      return bytes;
    } catch (error) {
      if (!options?.signal?.aborted) this.#count(name, 0, String(error));
      throw error;
    }
  }

  #count(name: string, length: number, reason?: string): void {
    const known: Partial<BackEndFigures> = this.#figures.get(name) ?? {};
    const { requests = 0, bytes = 0, failures = 0, failingSince, ...rest } = known;
    const at = new Date().toISOString();
    this.#figures.set(name, {
      ...rest,
      name,
      requests: requests + 1,
      bytes: bytes + length,
      failures: failures + (reason === undefined ? 0 : 1),
      isFailing: reason !== undefined,
      ...(reason !== undefined && {
        failingSince: failingSince ?? at,
        lastFailure: { at, reason },
      }),
    });
  }
}
