/** How a pcluster holds its data; 0 to 3 are the algorithms of `compression-config.ts`. */
export const PLAIN = 4;
export const INTERLACED = 5;

/** Bytes of a file that are stored together. */
export interface Piece {
  /** Byte of the file at which it begins. */
  readonly offset: number;
  /** Bytes of the file. */
  readonly length: number;
  /**
   * Where `start` counts: in the image, in the space in which the inode lies, in the packed inode, or
   * nowhere, for zeros.
   */
  readonly kind: 'image' | 'inline' | 'fragment' | 'hole';
  readonly start: number;
  /** Bytes stored. Of fragments and holes 0. */
  readonly size: number;
  /** 0 to 3, `PLAIN` or `INTERLACED`. */
  readonly format: number;
  /** What is stored decodes to more than `length` bytes. */
  readonly partial: boolean;
}

/** A piece that is not stored as a pcluster. */
export function unstored(
  kind: 'fragment' | 'hole',
  offset: number,
  length: number,
  start: number,
): Piece {
  return { offset, length, kind, start, size: 0, format: PLAIN, partial: false };
}
