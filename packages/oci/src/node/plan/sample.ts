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
  readonly none: number;
  readonly lz4: number;
  readonly zstd: number;
  /** Layers that have the chunk. */
  layers: number;
}

/**
 * Tells what compression would save, by trying it on some of the chunks: those whose hashes are the
 * lowest, as many as there are bytes to try. So the sample depends on nothing but the chunks.
 */
export class CompressionSample {
  private readonly budget: number;
  private readonly tried = new Map<string, Tried>();
  private bytes = 0;
  private limit = 2 ** 32;

  /** @param budget bytes to try at most */
  constructor(budget: number) {
    this.budget = budget;
  }

  /**
   * Takes a chunk that was not met before.
   *
   * @param key tells the chunk from all others
   * @param mark 32 bits of its hash
   */
  add(chunk: Uint8Array, key: string, mark: number): void {
    if (mark >= this.limit) return;
    this.tried.set(key, {
      mark,
      size: chunk.length,
      none: chunk.length,
      lz4: Math.min(chunk.length, lz4Size(chunk)),
      zstd: Math.min(chunk.length, zstdCompressSync(chunk).length),
      layers: 1,
    });
    this.bytes += chunk.length;
    while (this.bytes > this.budget && this.tried.size > 1) {
      this.limit /= 2;
      for (const [old, each] of this.tried) {
        if (each.mark < this.limit) continue;
        this.tried.delete(old);
        this.bytes -= each.size;
      }
    }
  }

  /** Another layer has a chunk. */
  again(key: string): void {
    const tried = this.tried.get(key);
    if (tried) tried.layers++;
  }

  /** Share of the chunks that were tried: 1 for all. */
  get share(): number {
    return this.limit / 2 ** 32;
  }

  /**
   * What so many bytes of such chunks would take.
   *
   * @param inEach whether chunks count once for each layer that has them: a chunk that many layers have, and that
   * compresses otherwise than others, weighs more then
   */
  estimate(total: number, compressor: Compressor, inEach: boolean): Estimate {
    const tried = [...this.tried.values()].map((each) => {
      const times = inEach ? each.layers : 1;
      return { size: each.size * times, compressed: each[compressor] * times };
    });
    const bytes = tried.reduce((sum, { size }) => sum + size, 0);
    if (compressor === 'none' || bytes === 0) return { bytes: total, error: 0 };
    const ratio = tried.reduce((sum, { compressed }) => sum + compressed, 0) / bytes;
    const expected = Math.round(total * ratio);
    if (this.share === 1) return { bytes: expected, error: 0 };
    // One chunk says nothing of how the others differ from it.
    if (tried.length < 2) return { bytes: expected, error: Math.max(expected, total - expected) };
    // The standard error of a ratio, without what is sure because it was tried.
    const free = tried.length - 1;
    const squares = tried.reduce((sum, { size, compressed }) => {
      return sum + (compressed - ratio * size) ** 2;
    }, 0);
    const spread = Math.sqrt((squares * (1 - this.share) * tried.length) / free);
    return { bytes: expected, error: Math.round((student(free) * total * spread) / bytes) };
  }
}

/**
 * How many standard errors hold the true figure 19 times in 20, where so many degrees of freedom tell the error:
 * Student's t, by the expansion of Cornish and Fisher. Source: Abramowitz and Stegun, 26.7.5.
 */
function student(free: number): number {
  return 1.96 + 2.372 / free + 2.822 / free ** 2 + 2.556 / free ** 3 + 1.589 / free ** 4;
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
