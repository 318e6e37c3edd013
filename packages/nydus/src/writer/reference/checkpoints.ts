import { RafsError } from '../../errors.ts';
import { CHUNK_SIZE_DEFAULT, CHUNK_SIZE_MAX } from '../../layout/algorithms.ts';
import type { Checkpoint } from '../../reader/blob-meta.ts';
import { SPAN_MAX } from '../../reader/chunk-reader.ts';
import type { GzipBlock, GzipBlocks } from './gzip-blocks.ts';

/** Bytes of the stream, and of what it decodes to, after which a new checkpoint is made. Source: nydus zran.rs. */
const ENOUGH_STORED = CHUNK_SIZE_DEFAULT / 2;
const ENOUGH = 2 * CHUNK_SIZE_DEFAULT;

/** Where a chunk is found again. */
export interface ChunkPlace {
  /** Number of its checkpoint, and its first byte as counted from there. */
  readonly index: number;
  readonly offset: number;
  /** Bytes of the stream that it lies in. */
  readonly start: number;
  readonly end: number;
}

type Begun = {
  -readonly [K in keyof Omit<Checkpoint, 'dictOffset' | 'dictSize'>]: Checkpoint[K];
} & {
  readonly member: number;
};

/**
 * The places of a gzip stream at which reading begins: for each chunk the beginning of the block it starts in, or an
 * earlier one. What follows a checkpoint reaches to the end of its last chunk.
 * Source: nydus utils/src/compress/zlib_random.rs.
 */
export class Checkpoints {
  readonly all: Begun[] = [];
  readonly #blocks: GzipBlocks;
  #chunk = { start: 0, out: 0 };

  constructor(blocks: GzipBlocks) {
    this.#blocks = blocks;
  }

  /** A chunk begins in the piece that was decoded last. */
  begin(out: number, size: number): void {
    const { block, start } = this.#blocks;
    const last = this.all.at(-1);
    if (last === undefined || this.#isEnough(last, block, out + size)) this.all.push(begun(block));
    this.#chunk = { start, out };
  }

  #isEnough(last: Begun, block: GzipBlock, end: number): boolean {
    if (block.member !== last.member) return true;
    if (block.in === last.inOffset) return false;
    const stored = this.#blocks.start - last.inOffset;
    const isGap = stored > 2 * last.inSize && last.inSize > ENOUGH_STORED;
    return stored >= ENOUGH_STORED || end - last.outOffset >= ENOUGH || isGap;
  }

  /**
   * It ends in the piece that was decoded last.
   *
   * @throws RafsError `RAFS_CANNOT_STORE` where nothing near can be decoded from
   */
  end(out: number): ChunkPlace {
    const { block, end } = this.#blocks;
    const last = this.all.at(-1)!;
    // Nydus decodes within one member.
    if (block.member !== last.member) throw cannotRefer('a file goes on in another gzip member');
    last.inSize = end - last.inOffset;
    last.outSize = out - last.outOffset;
    if (last.outSize > SPAN_MAX || last.inSize > CHUNK_SIZE_MAX) {
      throw cannotRefer(`a block of it has over ${CHUNK_SIZE_MAX} bytes, or ${SPAN_MAX} decoded`);
    }
    const { start, out: first } = this.#chunk;
    return { index: this.all.length - 1, offset: first - last.outOffset, start, end };
  }
}

function begun({ in: inOffset, out: outOffset, byte, bits, window, member }: GzipBlock): Begun {
  return { inOffset, outOffset, inSize: 0, outSize: 0, byte, bits, window, member };
}

export function cannotRefer(reason: string): RafsError {
  return new RafsError('RAFS_CANNOT_STORE', `Cannot refer to the layer: ${reason}`, {
    hint: 'Convert it to RAFS instead, or give it a SOCI index.',
  });
}
