import { type Lz4EndFault, lz4EndFault } from '@anole/bytes';
import { builtInDecoders, type DecodeOptions, type Decoder, type Decoders } from '../codecs.ts';
import type { Algorithm } from '../layout/compression-config.ts';
import { INCOMPAT_ZERO_PADDING } from '../layout/superblock.ts';
import type { Mapping } from '../reader/mapping.ts';
import type { ImageInfo } from '../reader/superblock.ts';

/** Why Linux refuses a pcluster that decodes here. */
interface Refusal {
  readonly reason: string;
  /** Byte in what `Mapping.start` counts in. */
  readonly offset: number;
}

/** What was decoded last. */
interface Decoded {
  readonly size: number;
  readonly fault: Lz4EndFault | undefined;
}

/**
 * Knows what Linux asks of compressed data beyond that they decode here. Source: Linux
 * fs/erofs/decompressor.c, z_erofs_fixup_insize and z_erofs_lz4_decompress_mem.
 */
export class LinuxReads {
  /** Those to read the image with. */
  readonly decoders: Required<Decoders>;
  #last: Decoded | undefined;

  constructor(decoders: Decoders = {}) {
    const all = { ...builtInDecoders, ...decoders };
    this.decoders = {
      lz4: this.#watched('lz4', all.lz4),
      lzma: this.#watched('lzma', all.lzma),
      deflate: this.#watched('deflate', all.deflate),
      zstd: this.#watched('zstd', all.zstd),
    };
  }

  /** Asked when a mapping was read as a whole, before anything else is. */
  refusal({ size, start, algorithm }: Mapping, info: ImageInfo): Refusal | undefined {
    const last = this.#last;
    if (algorithm === undefined || last === undefined) return undefined;
    const { fault } = last;
    const padding = size - last.size;
    const isPadded = algorithm !== 'lz4' || (info.featureIncompat & INCOMPAT_ZERO_PADDING) !== 0;
    const firstBlock = info.blockSize - (start % info.blockSize);
    if (padding > (isPadded ? Math.min(size, firstBlock) - 1 : 0)) {
      return { reason: `${padding} zeros stand before its ${algorithm} data`, offset: start };
    }
    if (fault === undefined) return undefined;
    return { reason: `in its LZ4 block ${fault.reason}`, offset: start + padding + fault.offset };
  }

  #watched(algorithm: Algorithm, decode: Decoder): Decoder {
    return (input: Uint8Array, output: Uint8Array, options: DecodeOptions) => {
      const done = decode(input, output, options);
      const isLz4 = algorithm === 'lz4';
      const fault = isLz4 ? lz4EndFault(input, output.length, options.partial) : undefined;
      this.#last = { size: input.length, fault };
      return done;
    };
  }
}
