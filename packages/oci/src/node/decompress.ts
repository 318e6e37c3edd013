import { pipeline, type Transform } from 'node:stream';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { AnoleError, ZstdFrames } from '@anole/bytes';
import { OciError } from '../errors.ts';
import type { Compression } from '../media-types.ts';

/** Bytes of output made at once. */
const CHUNK = 256 * 1024;

/**
 * Decompresses a layer. Chunks are memory of their own.
 *
 * @param limit bytes of output at most
 * @throws OciError `OCI_BAD_LAYER`, `OCI_TOO_LARGE`
 */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  compression: Compression,
  limit: number,
): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const chunk of opened(input, compression)) {
    total += chunk.length;
    if (total > limit) {
      throw new OciError('OCI_TOO_LARGE', `Cannot unpack a layer: it has over ${limit} bytes`, {
        details: { limit },
      });
    }
    yield chunk;
  }
}

function opened(
  input: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncIterable<Uint8Array> {
  if (compression === 'none') return input;
  if (compression === 'gzip') return through(input, createGunzip({ chunkSize: CHUNK }));
  // Windows of up to 128 MiB, as zstd's own tool takes with --long=27.
  const params = { [constants.ZSTD_d_windowLogMax]: 27 };
  return through(framewise(input), createZstdDecompress({ chunkSize: CHUNK, params }));
}

/**
 * zstd's frames, each in chunks of its own: behind one that ends within a chunk Node's decoder leaves off. Those that
 * hold no data are left out.
 */
async function* framewise(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames();
  for await (const chunk of input) {
    for (const { bytes, isSkippable } of frames.push(chunk)) if (!isSkippable) yield bytes;
  }
  frames.end();
}

async function* through(
  input: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Uint8Array> {
  // What the input raises is the input's; what the decoder raises is said of the layer.
  let failure: { readonly error: unknown } | undefined;
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      yield* input;
    } catch (error) {
      failure = { error };
      throw error;
    }
  }
  pipeline(watched(), transform, () => {});
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
  } catch (error) {
    if (failure && !isDamage(failure.error)) throw failure.error;
    const why = error instanceof Error ? error.message : String(error);
    throw new OciError('OCI_BAD_LAYER', `Cannot unpack a layer: its data is damaged (${why})`, {
      cause: error,
    });
  }
}

/** What is said of the layer as of what its decoder raises. */
function isDamage(error: unknown): boolean {
  return AnoleError.is(error) && error.code === 'ZSTD_DAMAGED';
}
