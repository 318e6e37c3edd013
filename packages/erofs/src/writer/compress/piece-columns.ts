import type { CompressedPiece, Piece, TailMode } from './piece.ts';

// Between threads many small objects take longer than compressing what they are about.

const tails: readonly (TailMode | undefined)[] = [undefined, 'plain', 'inline', 'fragment'];
const PIECE_COLUMNS = 4;
const RESULT_COLUMNS = 5;

/** Pieces as one array, to be handed to another thread. */
export function packPieces(pieces: readonly Piece[]): Uint32Array<ArrayBuffer> {
  const columns = new Uint32Array(pieces.length * PIECE_COLUMNS);
  for (const [index, { start, length, tail, variant }] of pieces.entries()) {
    const at = index * PIECE_COLUMNS;
    columns[at] = start;
    columns[at + 1] = length;
    columns[at + 2] = tails.indexOf(tail);
    columns[at + 3] = variant;
  }
  return columns;
}

export function unpackPieces(columns: Uint32Array): Piece[] {
  return Array.from({ length: columns.length / PIECE_COLUMNS }, (_, index) => {
    const at = index * PIECE_COLUMNS;
    return {
      start: columns[at]!,
      length: columns[at + 1]!,
      tail: tails[columns[at + 2]!],
      variant: columns[at + 3]!,
    };
  });
}

/** What became of pieces as one array: a row for each, and behind all rows their extents. */
export function packResults(pieces: readonly CompressedPiece[]): Uint32Array<ArrayBuffer> {
  const rows = 1 + pieces.length * RESULT_COLUMNS;
  const columns = new Uint32Array(pieces.reduce((sum, { extents }) => sum + extents.length, rows));
  columns[0] = pieces.length;
  let at = rows;
  for (const [index, { extents, start, end, tailSize, fragmentSize }] of pieces.entries()) {
    const row = 1 + index * RESULT_COLUMNS;
    columns[row] = extents.length;
    columns[row + 1] = start;
    columns[row + 2] = end;
    columns[row + 3] = tailSize;
    columns[row + 4] = fragmentSize;
    columns.set(extents, at);
    at += extents.length;
  }
  return columns;
}

/** Extents are views of the array. */
export function unpackResults(columns: Uint32Array): CompressedPiece[] {
  const count = columns[0]!;
  let at = 1 + count * RESULT_COLUMNS;
  return Array.from({ length: count }, (_, index) => {
    const row = 1 + index * RESULT_COLUMNS;
    const extents = columns.subarray(at, at + columns[row]!);
    at += extents.length;
    return {
      extents,
      start: columns[row + 1]!,
      end: columns[row + 2]!,
      tailSize: columns[row + 3]!,
      fragmentSize: columns[row + 4]!,
    };
  });
}
