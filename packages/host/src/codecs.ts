import { inflateRawSync, zstdDecompressSync } from 'node:zlib';
import { HostError } from './errors.ts';

/** Most bytes that the part of a stream of which only the beginning is wanted may have. */
const PARTIAL_MAX = 12 * 1024 * 1024;

/** Fills `output` with what `input` decodes to, or with its beginning where that is `partial`. */
export type HostDecoder = (
  input: Uint8Array,
  output: Uint8Array,
  options: { readonly partial: boolean },
) => void;

/**
 * Decoders of Node's own zlib and zstd, faster than those in TypeScript: what `openErofs` takes as
 * `decoders`. `output` becomes exactly full.
 *
 * @throws HostError `HOST_WRONG_CONTENT` where the input is damaged or of another length
 * @example
 * const tree = await openErofs(source, { decoders: hostDecoders });
 */
export const hostDecoders: { readonly deflate: HostDecoder; readonly zstd: HostDecoder } = {
  deflate: decoderOf('DEFLATE', inflateRawSync),
  zstd: decoderOf('ZSTD', zstdDecompressSync),
};

interface ZlibOptions {
  readonly maxOutputLength: number;
  readonly chunkSize: number;
}

function decoderOf(
  name: string,
  decompress: (input: Uint8Array, options: ZlibOptions) => Uint8Array,
): HostDecoder {
  return (input, output, { partial }) => {
    if (output.length === 0) return;
    const limits = {
      maxOutputLength: partial ? PARTIAL_MAX : output.length,
      chunkSize: Math.max(64, output.length),
    };
    let decoded: Uint8Array;
    try {
      decoded = decompress(input, limits);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new HostError('HOST_WRONG_CONTENT', `Cannot decode the ${name} data: ${reason}`, {
        cause,
      });
    }
    if (partial ? decoded.length < output.length : decoded.length !== output.length) {
      throw new HostError(
        'HOST_WRONG_CONTENT',
        `Cannot decode the ${name} data: they have ${decoded.length} bytes, not ${output.length}`,
      );
    }
    output.set(decoded.subarray(0, output.length));
  };
}
