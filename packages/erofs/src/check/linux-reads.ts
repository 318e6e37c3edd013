import { type Lz4EndFault, type Lz4Reach, lz4EndFault, lz4Reach } from '@anole/bytes';
import { builtInDecoders, type DecodeOptions, type Decoder, type Decoders } from '../codecs.ts';
import { type Algorithm, LZ4_DISTANCE_MAX } from '../layout/compression-config.ts';
import { INCOMPAT_ZERO_PADDING } from '../layout/superblock.ts';
import type { Mapping } from '../reader/mapping.ts';
import type { ImageInfo } from '../reader/superblock.ts';

/** Why Linux refuses a pcluster that decodes here, or decodes it to something else. */
interface Refusal {
  readonly code: 'EROFS_LINUX_REFUSES' | 'EROFS_LZ4_DISTANCE';
  readonly reason: string;
  /** Byte in what `Mapping.start` counts in. */
  readonly offset: number;
}

/** What was decoded last. */
interface Decoded {
  readonly size: number;
  readonly fault: Lz4EndFault | undefined;
  /** Where that may be farther than Linux keeps what it decodes. */
  readonly reach: Lz4Reach | undefined;
}

/** Linux keeps whole pages of what it decodes, of this size at least. */
const PAGE = 4096;

/**
 * Knows what Linux asks of compressed data beyond that they decode here. Source: Linux
 * fs/erofs/decompressor.c, z_erofs_fixup_insize, z_erofs_lz4_decompress_mem and z_erofs_lz4_prepare_dstpages.
 */
export class LinuxReads {
  /** Those to read the image with. */
  readonly decoders: Required<Decoders>;
  #last: Decoded | undefined;
  /** Bytes that matches of LZ4 reach back at most, as the image says. */
  #lz4Distance = LZ4_DISTANCE_MAX;

  constructor(decoders: Decoders = {}) {
    const all = { ...builtInDecoders, ...decoders };
    this.decoders = {
      lz4: this.#watched('lz4', all.lz4),
      lzma: this.#watched('lzma', all.lzma),
      deflate: this.#watched('deflate', all.deflate),
      zstd: this.#watched('zstd', all.zstd),
    };
  }

  /** What the image says that matches reach back at most, by algorithm: to be told before data are read. */
  set windows(windows: ReadonlyMap<Algorithm, number>) {
    this.#lz4Distance = windows.get('lz4') ?? LZ4_DISTANCE_MAX;
  }

  /** Asked when a mapping was read as a whole, before anything else is. */
  refusal({ size, start, algorithm }: Mapping, info: ImageInfo): Refusal | undefined {
    const last = this.#last;
    if (algorithm === undefined || last === undefined) return undefined;
    const { fault, reach } = last;
    const padding = size - last.size;
    const isPadded = algorithm !== 'lz4' || (info.featureIncompat & INCOMPAT_ZERO_PADDING) !== 0;
    const firstBlock = info.blockSize - (start % info.blockSize);
    if (padding > (isPadded ? Math.min(size, firstBlock) - 1 : 0)) {
      const reason = `${padding} zeros stand before its ${algorithm} data`;
      return { code: 'EROFS_LINUX_REFUSES', reason, offset: start };
    }
    if (fault !== undefined) {
      const reason = `in its LZ4 block ${fault.reason}`;
      return { code: 'EROFS_LINUX_REFUSES', reason, offset: start + padding + fault.offset };
    }
    if (reach === undefined || reach.distance <= this.#kept) return undefined;
    const reason = `a match lies ${reach.distance} bytes back, the superblock says ${this.#lz4Distance} at most`;
    return { code: 'EROFS_LZ4_DISTANCE', reason, offset: start + padding + reach.offset };
  }

  /** Bytes before a page that Linux keeps while it decodes that. */
  get #kept(): number {
    return Math.ceil(this.#lz4Distance / PAGE) * PAGE;
  }

  #watched(algorithm: Algorithm, decode: Decoder): Decoder {
    return (input: Uint8Array, output: Uint8Array, options: DecodeOptions) => {
      const done = decode(input, output, options);
      const isLz4 = algorithm === 'lz4';
      const fault = isLz4 ? lz4EndFault(input, output.length, options.partial) : undefined;
      const isLimited = isLz4 && this.#kept < LZ4_DISTANCE_MAX;
      const reach = isLimited ? lz4Reach(input, output.length) : undefined;
      this.#last = { size: input.length, fault, reach };
      return done;
    };
  }
}
