import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { ZstdFrames } from '@anole/bytes';
import { systemCode } from '@anole/host';
import { OciError } from '../errors.ts';
import type { LayerParts, PartSpan } from '../layer-index.ts';
import { MAX_FRAME } from '../soci/frames-info.ts';
import { decodeZstdPart } from './zstd-chunked.ts';

/** Finds the frames of a zstd layer while it streams by, and gives what they decompress to. */
export class ZstdIndexer {
  readonly #spans: PartSpan[] = [];
  readonly #frames = new ZstdFrames();
  #frame: Uint8Array[] = [];
  #start = 0;
  #end = 0;
  #size = 0;

  /** Bytes so far, decompressed. */
  get size(): number {
    return this.#size;
  }

  /**
   * What a chunk of the layer ends the frames of.
   *
   * @throws OciError `OCI_UNSUPPORTED` where a frame is too long for reading by ranges, `OCI_BAD_LAYER`;
   *   AnoleError `ZSTD_DAMAGED`
   */
  *decode(chunk: Uint8Array): Generator<Uint8Array, void> {
    for (const { bytes, isSkippable, isLast } of this.#frames.push(chunk)) {
      if (this.#frame.length === 0) this.#start = this.#end;
      this.#end += bytes.length;
      if (isSkippable) continue;
      // The next chunk may take this one's memory.
      this.#frame.push(bytes.slice());
      if (this.#end - this.#start > MAX_FRAME) throw tooLong();
      if (!isLast) continue;
      const decoded = this.#decodeFrame();
      if (decoded.length > 0) yield decoded;
    }
  }

  #decodeFrame(): Uint8Array {
    const stored = this.#frame.length === 1 ? this.#frame[0]! : Buffer.concat(this.#frame);
    this.#frame = [];
    const decoded = decompressFrame(stored);
    if (decoded.length === 0) return decoded;
    const storedDigest = createHash('sha256').update(stored).digest('hex');
    this.#spans.push({ out: this.#size, start: this.#start, end: this.#end, storedDigest });
    this.#size += decoded.length;
    return decoded;
  }

  /**
   * The frames, each of which is read alone.
   *
   * @throws AnoleError `ZSTD_DAMAGED` where the last has not ended
   */
  finish(): LayerParts {
    this.#frames.end();
    return { spans: this.#spans, decode: decodeZstdPart, isArchive: true };
  }
}

function decompressFrame(stored: Uint8Array): Uint8Array {
  try {
    return zstdDecompressSync(stored, { maxOutputLength: MAX_FRAME });
  } catch (error) {
    if (systemCode(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLong();
    throw new OciError('OCI_BAD_LAYER', 'Cannot index a layer: its data is damaged', {
      cause: error,
    });
  }
}

function tooLong(): OciError {
  return new OciError(
    'OCI_UNSUPPORTED',
    `Cannot index a layer: a zstd frame of it has over ${MAX_FRAME} bytes, and is read as a whole`,
    { hint: 'Convert it to zstd:chunked, whose frames are short.' },
  );
}
