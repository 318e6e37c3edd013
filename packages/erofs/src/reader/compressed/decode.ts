import { AnoleError, type Awaitable, isPromise } from '@anole/bytes';
import type { Decoders } from '../../codecs.ts';
import { damaged, type ErofsError } from '../../errors.ts';
import { algorithmNames } from '../../layout/compression-config.ts';
import { INTERLACED, type Piece, PLAIN } from './piece.ts';

export interface DecodeContext {
  readonly nid: number;
  readonly blockSize: number;
  readonly decoders: Required<Decoders>;
  /** LZ4 blocks end where the pcluster ends, and zeros stand before them. */
  readonly zeroPadding: boolean;
}

/**
 * Fills `output` with the bytes of a piece that is stored as `input`.
 *
 * @throws ErofsError `EROFS_BAD_DATA`; also later, where a decoder is asynchronous
 */
export function decodePiece(
  piece: Piece,
  input: Uint8Array,
  output: Uint8Array,
  context: DecodeContext,
): Awaitable<void> {
  if (piece.format === PLAIN) {
    output.set(input.subarray(0, output.length));
    return;
  }
  if (piece.format === INTERLACED) {
    copyInterlaced(piece, input, output, context.blockSize);
    return;
  }
  const name = algorithmNames[piece.format]!;
  const decoder = context.decoders[name];
  const refused = (cause: unknown): never => {
    throw badData(piece, name, context.nid, cause);
  };
  // Zeros stand before the data: no algorithm's data begin with one.
  let margin = 0;
  while (margin < input.length && input[margin] === 0) margin++;
  const partial = piece.partial || (name === 'lz4' && !context.zeroPadding);
  try {
    const done = decoder(input.subarray(margin), output, { partial });
    return isPromise(done) ? done.catch(refused) : undefined;
  } catch (error) {
    return refused(error);
  }
}

/** Each byte lies where it would in an uncompressed block; what follows the first block is in front. */
function copyInterlaced(
  { offset }: Piece,
  input: Uint8Array,
  output: Uint8Array,
  blockSize: number,
): void {
  const first = Math.min(blockSize - (offset % blockSize), output.length);
  const at = input.length - (blockSize - (offset % blockSize));
  output.set(input.subarray(at, at + first));
  output.set(input.subarray(0, output.length - first), first);
}

function badData(piece: Piece, name: string, nid: number, cause: unknown): ErofsError {
  const reason = AnoleError.is(cause) || cause instanceof Error ? cause.message : String(cause);
  return damaged(
    'EROFS_BAD_DATA',
    `Cannot read inode ${nid}: the ${name} data of its pcluster do not decode: ${reason}`,
    piece.start,
  );
}
