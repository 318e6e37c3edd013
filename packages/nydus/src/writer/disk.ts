import type { CallOptions, Source } from '@anole/bytes';
import { openErofs } from '@anole/erofs';
import { RafsError } from '../errors.ts';
import type { RafsImage } from '../reader/image.ts';

/** Bytes read and given at once. */
const PIECE = 1024 * 1024;

/** An image as one disk. */
export interface RafsDisk extends AsyncIterable<Uint8Array> {
  /** Bytes in all: whole blocks of 4096. */
  readonly size: number;
}

/**
 * An image of RAFS v6 as one disk, without the need of anything beside it: the bootstrap, then each blob
 * decoded, where the device table says. Linux mounts it as EROFS. What lies between is zeros.
 *
 * @throws RafsError `RAFS_UNSUPPORTED`; while iterating, as reading the chunks
 * @example
 * for await (const piece of await rafsDisk(image, bootstrap)) await file.write(piece);
 */
export async function rafsDisk(
  image: RafsImage,
  bootstrap: Source,
  { signal, onProgress }: CallOptions = {},
): Promise<RafsDisk> {
  if (image.version !== 6) {
    throw new RafsError('RAFS_UNSUPPORTED', 'Cannot make a disk of the image: it is of RAFS v5');
  }
  const { info, devices } = await openErofs(bootstrap, { devices: image.blobs });
  const parts: { readonly at: number; readonly source: Source }[] = [{ at: 0, source: bootstrap }];
  for (const [index, { unifiedBlock }] of devices.entries()) {
    parts.push({ at: unifiedBlock * info.blockSize, source: image.blobs[index]! });
  }
  parts.sort((a, b) => a.at - b.at);
  const { at, source } = parts.at(-1)!;
  const total = Math.ceil((at + source.size) / 4096) * 4096;
  const zeros = new Uint8Array(PIECE);
  return {
    size: total,
    async *[Symbol.asyncIterator]() {
      let position = 0;
      function* gap(to: number) {
        for (; position < to; position += Math.min(PIECE, to - position)) {
          yield zeros.subarray(0, Math.min(PIECE, to - position));
        }
      }
      for (const part of parts) {
        if (part.at < position) {
          throw new RafsError('RAFS_BAD_BOOTSTRAP', 'Cannot make a disk: its devices overlap');
        }
        yield* gap(part.at);
        for (let from = 0; from < part.source.size; from += PIECE) {
          signal?.throwIfAborted();
          const bytes = await part.source.read(from, Math.min(PIECE, part.source.size - from));
          position += bytes.length;
          yield bytes;
          onProgress?.({ step: 'write disk', done: position, total, unit: 'bytes' });
        }
      }
      yield* gap(total);
    },
  };
}
