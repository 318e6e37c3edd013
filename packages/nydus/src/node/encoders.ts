import { createHash, hash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync } from 'node:zlib';
import { blake3 } from '@anole/bytes';
import { LZ4_SCRATCH_SIZE, LZ4_SLACK, lz4Filler } from '@anole/bytes/lz4-compress';
import type { RafsEncoders } from '../writer/encoders.ts';
import { encryptXts } from './xts.ts';

const zstdCompressed = promisify(zstdCompress);

export interface EncoderOptions {
  /** Of zstd, 1 to 19. Default 3, which nydus-image uses. */
  readonly level?: number;
}

/** Encoders of this project and of Node. They hold memory: make them once for an image. */
export function nodeEncoders({ level = 3 }: EncoderOptions = {}): RafsEncoders {
  const lz4 = lz4Encoder();
  const settings = (bytes: Uint8Array) => ({
    // One piece: what does not become smaller is not wanted compressed.
    chunkSize: Math.max(64, bytes.length),
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
  return {
    compress: {
      lz4_block: (bytes) => lz4(bytes),
      zstd: (bytes) => zstdCompressSync(bytes, settings(bytes)),
    },
    compressAhead: { zstd: (bytes) => zstdCompressed(bytes, settings(bytes)) },
    hash: { blake3, sha256: (bytes) => hash('sha256', bytes, 'buffer') },
    sha256: () => createHash('sha256'),
    encrypt: encryptXts,
  };
}

const PAGE = 65536;

/** Whole LZ4 blocks by the filler, in memory that grows with the largest of them. */
function lz4Encoder(): (bytes: Uint8Array) => Uint8Array {
  const memory = new WebAssembly.Memory({ initial: LZ4_SCRATCH_SIZE / PAGE });
  let filler: ReturnType<typeof lz4Filler> | undefined;
  return (bytes) => {
    const { length } = bytes;
    const target = LZ4_SCRATCH_SIZE + length + LZ4_SLACK;
    const missing =
      Math.ceil((target + length + LZ4_SLACK) / PAGE) - memory.buffer.byteLength / PAGE;
    if (missing > 0) memory.grow(missing);
    filler ??= lz4Filler(1, memory);
    const all = new Uint8Array(memory.buffer);
    all.set(bytes, LZ4_SCRATCH_SIZE);
    // What does not become smaller is not wanted compressed.
    const filled = filler.fill(LZ4_SCRATCH_SIZE, LZ4_SCRATCH_SIZE + length, target, length);
    return filled.consumed === length ? all.subarray(target, target + filled.produced) : bytes;
  };
}
