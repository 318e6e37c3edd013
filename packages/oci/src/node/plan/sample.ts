import { zstdCompressSync } from 'node:zlib';
import { LZ4_SCRATCH_SIZE, LZ4_SLACK, type Lz4Filler, lz4Filler } from '@anole/bytes';

/** What chunks are compressed by; each chunk is stored plain where that takes less. */
export const compressors = ['none', 'lz4', 'zstd'] as const;
export type Compressor = (typeof compressors)[number];

/** Bytes after compression, by a sample. */
export interface Estimate {
  readonly bytes: number;
  /** Half the width of the interval that holds the true figure 19 times in 20; 0 where all was tried. */
  readonly error: number;
}

interface Tried {
  readonly mark: number;
  readonly size: number;
  readonly lz4: number;
  readonly zstd: number;
}

/**
 * Tells what compression would save, by trying it on some of the chunks: those whose hashes are the
 * lowest, as many as there are bytes to try. So the sample depends on nothing but the chunks.
 */
export class CompressionSample {
  private readonly budget: number;
  private tried: Tried[] = [];
  private bytes = 0;
  private limit = 2 ** 32;

  /** @param budget bytes to try at most */
  constructor(budget: number) {
    this.budget = budget;
  }

  /** @param mark 32 bits of the chunk's hash */
  add(chunk: Uint8Array, mark: number): void {
    if (mark >= this.limit) return;
    this.tried.push({
      mark,
      size: chunk.length,
      lz4: Math.min(chunk.length, lz4Size(chunk)),
      zstd: Math.min(chunk.length, zstdCompressSync(chunk).length),
    });
    this.bytes += chunk.length;
    while (this.bytes > this.budget && this.tried.length > 1) {
      this.limit /= 2;
      this.tried = this.tried.filter((each) => each.mark < this.limit);
      this.bytes = this.tried.reduce((sum, { size }) => sum + size, 0);
    }
  }

  /** Share of the chunks that were tried: 1 for all. */
  get share(): number {
    return this.limit / 2 ** 32;
  }

  /** What so many bytes of such chunks would take. */
  estimate(total: number, compressor: Compressor): Estimate {
    if (compressor === 'none' || this.bytes === 0) return { bytes: total, error: 0 };
    const compressed = this.tried.reduce((sum, each) => sum + each[compressor], 0);
    const ratio = compressed / this.bytes;
    // The standard error of a ratio, without what is sure because it was tried.
    const squares = this.tried.reduce((sum, each) => {
      return sum + (each[compressor] - ratio * each.size) ** 2;
    }, 0);
    const error = (1.96 * total * Math.sqrt(squares * (1 - this.share))) / this.bytes;
    return { bytes: Math.round(total * ratio), error: Math.round(error) };
  }
}

let lz4: { readonly memory: WebAssembly.Memory; readonly filler: Lz4Filler } | undefined;

/** Bytes of a chunk as one LZ4 block. */
function lz4Size(chunk: Uint8Array): number {
  if (lz4 === undefined) {
    const memory = new WebAssembly.Memory({ initial: LZ4_SCRATCH_SIZE / 65_536 });
    lz4 = { memory, filler: lz4Filler(0, memory) };
  }
  const { memory, filler } = lz4;
  const end = LZ4_SCRATCH_SIZE + chunk.length;
  const target = end + LZ4_SLACK;
  const missing = target + chunk.length + LZ4_SLACK - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65_536));
  new Uint8Array(memory.buffer).set(chunk, LZ4_SCRATCH_SIZE);
  const { consumed, produced } = filler.fill(LZ4_SCRATCH_SIZE, end, target, chunk.length);
  return consumed === chunk.length ? produced : chunk.length;
}
