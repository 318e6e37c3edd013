import { lz4Filler } from '@anole/bytes';
import { ErofsError } from '../../errors.ts';
import {
  type CompressedPiece,
  type Compressor,
  compressPiece,
  type Filler,
  type Piece,
  type PieceSettings,
} from './piece.ts';
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

/**
 * Compresses pieces of files one by one, in the calling thread. Threads of a pool each have one:
 * wherever a piece is compressed, the result is the same.
 *
 * @throws ErofsError `EROFS_BAD_OPTION` where an encoder is missing
 */
export function pieceCompressor(
  settings: PieceSettings,
  encoders: Encoders = {},
): (piece: Piece) => CompressedPiece {
  const filler = fillerOf(settings, encoders);
  return (piece) => compressPiece(piece, settings, filler);
}

function fillerOf({ compressor, level, windowSize }: PieceSettings, encoders: Encoders): Filler {
  if (compressor === 'lz4') return lz4Filler();
  if (compressor === 'lz4hc') return lz4Filler(level);
  const encode = encoders[compressor];
  if (encode === undefined) throw missingEncoder(compressor);
  return new SearchFiller((bytes) => encode(bytes, level, windowSize));
}

function missingEncoder(compressor: Compressor): ErofsError {
  return new ErofsError(
    'EROFS_BAD_OPTION',
    `Cannot compress by ${compressor}: no encoder is given`,
    {
      details: { compressor },
      hint: 'give `encoders` (in Node, `zlibEncoders` of @anole/host), or choose lz4 or lz4hc',
    },
  );
}
