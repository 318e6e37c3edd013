import { AnoleError } from '../errors.ts';
import { INFLATE_WINDOW } from '../inflate/stream.ts';
import { type GunzipOptions, GunzipStream } from './gunzip.ts';

/** A place in a gzip stream where decoding can begin. */
export interface GzipCheckpoint {
  /** First byte of the compressed stream that is whole. */
  readonly in: number;
  /** Byte of the decompressed stream that comes first. */
  readonly out: number;
  /** High bits of the byte before `in` that belong to what follows: 0 to 7. */
  readonly bits: number;
  /** Up to 32 KiB of decompressed bytes before `out`. */
  readonly window: Uint8Array;
}

/** What is needed to read a gzip stream from its middle on. The model is that of zlib's examples/zran.c. */
export interface GzipIndex {
  /** Decompressed bytes between two checkpoints, at least. */
  readonly span: number;
  /** Bytes of the stream, compressed and not. */
  readonly compressedSize: number;
  readonly size: number;
  /** In order; the first is that of the beginning. */
  readonly checkpoints: readonly GzipCheckpoint[];
  /**
   * SHA-256 of the compressed bytes of each span, in hexadecimal: from the byte before `in`, where
   * bits of it are needed, up to `in` of the next checkpoint.
   */
  readonly digests?: readonly string[];
}

/** Decompressed bytes between checkpoints unless told: that of SOCI. A checkpoint takes 32 KiB. */
export const DEFAULT_SPAN: number = 4 * 1024 * 1024;

/** A running SHA-256, as of `node:crypto`. */
export interface Hash {
  update(bytes: Uint8Array): unknown;
  digest(encoding: 'hex'): string;
}

export interface GzipIndexOptions extends GunzipOptions {
  /** Default {@link DEFAULT_SPAN}. */
  readonly span?: number;
  /** For digests of the spans. */
  readonly sha256?: () => Hash;
}

/**
 * Decompresses a gzip stream and makes its index on the way.
 *
 * @example
 * const indexer = new GzipIndexer();
 * for await (const chunk of stream) for (const piece of indexer.decode(chunk)) use(piece);
 * const index = indexer.finish();
 */
export class GzipIndexer {
  private readonly span: number;
  private readonly gunzip: GunzipStream;
  private readonly checkpoints: GzipCheckpoint[] = [];
  private readonly sha256: (() => Hash) | undefined;
  private readonly digests: string[] = [];
  private hash: Hash | undefined;
  private compressed = 0;

  constructor(options: GzipIndexOptions = {}) {
    this.span = options.span ?? DEFAULT_SPAN;
    this.sha256 = options.sha256;
    this.gunzip = new GunzipStream(options);
    this.gunzip.stopAt = 0;
  }

  /**
   * What a chunk of the stream decompresses to. Pieces are valid until the next is asked for; all must be.
   *
   * @throws AnoleError `GZIP_DAMAGED`, `DEFLATE_DAMAGED`
   */
  *decode(chunk: Uint8Array): Generator<Uint8Array, void> {
    const start = this.compressed;
    this.compressed += chunk.length;
    this.gunzip.write(chunk);
    let hashed = 0;
    for (;;) {
      const piece = this.gunzip.read();
      if (piece.length > 0) yield piece;
      if (this.gunzip.atBoundary) {
        const end = this.gunzip.consumed - start;
        this.hash?.update(chunk.subarray(hashed, end));
        this.checkpoint();
        // Bits of the byte before belong to the span that begins.
        hashed = end - (this.checkpoints.at(-1)!.bits > 0 ? 1 : 0);
      } else if (piece.length === 0) break;
    }
    this.hash?.update(chunk.subarray(hashed));
  }

  /** @throws AnoleError `GZIP_DAMAGED` where the stream is not whole */
  finish(): GzipIndex {
    this.gunzip.end();
    if (this.hash) this.digests.push(this.hash.digest('hex'));
    this.hash = undefined;
    return {
      span: this.span,
      compressedSize: this.compressed,
      size: this.gunzip.produced,
      checkpoints: this.checkpoints,
      ...(this.sha256 && { digests: this.digests }),
    };
  }

  private checkpoint(): void {
    const { bits, window } = this.gunzip.position();
    const out = this.gunzip.produced;
    this.checkpoints.push({ in: this.gunzip.consumed, out, bits, window });
    this.gunzip.stopAt = out + this.span + 1;
    if (this.hash) this.digests.push(this.hash.digest('hex'));
    this.hash = this.sha256?.();
  }
}

/**
 * Checks an index of foreign origin: that its checkpoints are in order and lie inside.
 *
 * @throws AnoleError `GZIP_BAD_INDEX`
 */
export function checkGzipIndex({ checkpoints, size, compressedSize, digests }: GzipIndex): void {
  let last: GzipCheckpoint | undefined;
  for (const checkpoint of checkpoints) {
    const { in: at, out, bits, window } = checkpoint;
    const isInside = at <= compressedSize && out <= size && at >= (bits > 0 ? 1 : 0);
    const isBehind = last ? at > last.in && out > last.out : out === 0;
    const isWhole = Number.isSafeInteger(at) && Number.isSafeInteger(out) && out >= 0;
    if (!isInside || !isBehind || !isWhole || bits > 7 || window.length > INFLATE_WINDOW) {
      throw badIndex(`its checkpoint for byte ${out} cannot be`);
    }
    last = checkpoint;
  }
  if (last === undefined) throw badIndex('it has no checkpoints');
  if (digests && digests.length !== checkpoints.length) {
    throw badIndex(`it has ${digests.length} digests for ${checkpoints.length} spans`);
  }
}

export function badIndex(reason: string): AnoleError {
  return new AnoleError('GZIP_BAD_INDEX', `Cannot use the index of a gzip stream: ${reason}`);
}
