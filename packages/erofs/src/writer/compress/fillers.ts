import { lz4Filler } from '@anole/bytes/lz4-compress';
import { microLzmaFiller } from '@anole/bytes/lzma-compress';
import { badOption } from '../bad-option.ts';
import type { Compressor, Filler, PieceSettings } from './piece.ts';
import { SearchFiller } from './search-filler.ts';

/**
 * Encoders for what this package does not compress itself, by the name of the compressor. Each gives
 * one stream for all of `bytes`: of ZSTD a frame whose window is at most `windowSize`, a power of
 * two; of DEFLATE a raw stream (RFC 1951).
 */
export interface Encoders {
  readonly zstd?: (bytes: Uint8Array, level: number, windowSize: number) => Uint8Array;
  readonly deflate?: (bytes: Uint8Array, level: number, windowSize: number) => Uint8Array;
}

/** @throws ErofsError `EROFS_BAD_OPTION` where an encoder is missing */
export function fillerOf(
  { compressor, level, windowSize, lzmaBits }: PieceSettings,
  encoders: Encoders,
  memory: WebAssembly.Memory,
): Filler {
  if (compressor === 'lz4' || compressor === 'lz4hc') {
    return { begin() {}, ...lz4Filler(compressor === 'lz4' ? 0 : level, memory) };
  }
  if (compressor === 'lzma') {
    return microLzmaFiller({ level, windowSize, ...(lzmaBits && { bits: lzmaBits }) }, memory);
  }
  const encode = encoders[compressor];
  if (encode === undefined) throw missingEncoder(compressor);
  const bytes = new Uint8Array(memory.buffer);
  return new SearchFiller((input) => encode(input, level, windowSize), bytes);
}

function missingEncoder(compressor: Compressor): Error {
  const hint =
    'give `encoders` (in Node, `zlibEncoders` of @anole/host), or choose lz4, lz4hc or lzma';
  return badOption('compressor', compressor, hint);
}
