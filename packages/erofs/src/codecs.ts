import { type Awaitable, decodeLz4, decodeMicroLzma, decodeZstd, inflate } from '@anole/bytes';
import type { Algorithm } from './layout/compression-config.ts';

export interface DecodeOptions {
  /** The input may hold more than `output` takes: the rest is not wanted. */
  readonly partial: boolean;
}

/**
 * Decodes `input` into `output`, which must become exactly full. The input's memory is only lent until
 * the call returns: what decodes later copies it first. LZ4 is a block, LZMA a MicroLZMA stream,
 * DEFLATE a raw stream, ZSTD a frame. At most 1 MiB go in, and 12 MiB come out.
 *
 * Whatever it throws means that the input is damaged.
 */
export type Decoder = (
  input: Uint8Array,
  output: Uint8Array,
  options: DecodeOptions,
) => Awaitable<void>;

/** A decoder for each algorithm that images may use. */
export type Decoders = Readonly<Partial<Record<Algorithm, Decoder>>>;

/** Those that need nothing but this package. */
export const builtInDecoders: Required<Decoders> = {
  lz4: decodeLz4,
  lzma: decodeMicroLzma,
  deflate: inflate,
  zstd: decodeZstd,
};
