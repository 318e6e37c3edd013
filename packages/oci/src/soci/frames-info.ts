import { OciError } from '../errors.ts';
import type { LayerParts, PartSpan } from '../layer-index.ts';

const HEAD = 4;
const RECORD = 24;
/** Bytes of a frame at most, decompressed: a read takes all of it. */
export const MAX_FRAME: number = 64 * 1024 * 1024;

/**
 * The frames of a zstd layer, as our ztocs have them in the place of checkpoints: u32 count, then u64 start, u64 end
 * (of the layer as it is stored) and u64 out (first byte of the archive) for each. See docs/formats/zstd-ztoc.md.
 */
export function encodeFrames(spans: readonly PartSpan[]): Uint8Array {
  const bytes = new Uint8Array(HEAD + spans.length * RECORD);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, spans.length, true);
  for (const [index, { start, end, out }] of spans.entries()) {
    const at = HEAD + index * RECORD;
    view.setBigUint64(at, BigInt(start), true);
    view.setBigUint64(at + 8, BigInt(end), true);
    view.setBigUint64(at + 16, BigInt(out), true);
  }
  return bytes;
}

export interface FramesOptions extends Pick<LayerParts, 'decode'> {
  readonly digests: readonly string[];
  readonly compressedSize: number;
  readonly size: number;
}

/**
 * Reads what {@link encodeFrames} writes.
 *
 * @throws OciError `OCI_BAD_INDEX`
 */
export function parseFrames(
  bytes: Uint8Array,
  { digests, compressedSize, size, decode }: FramesOptions,
): LayerParts {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = bytes.length < HEAD ? 0 : view.getUint32(0, true);
  if (bytes.length !== HEAD + count * RECORD || count !== digests.length) {
    throw bad(`${bytes.length} bytes hold no ${digests.length} frames`);
  }
  const spans: PartSpan[] = [];
  for (const [index, storedDigest] of digests.entries()) {
    const numberAt = (at: number) => Number(view.getBigUint64(HEAD + index * RECORD + at, true));
    const [start, end, out] = [numberAt(0), numberAt(8), numberAt(16)];
    const last = spans.at(-1);
    const isBehind = last ? start >= last.end && out > last.out : out === 0;
    if (!isBehind || start >= end || end > compressedSize || out >= size) {
      throw bad(`a frame from ${start} to ${end} cannot hold byte ${out}`);
    }
    spans.push({ out, start, end, storedDigest });
  }
  for (const [index, { out }] of spans.entries()) {
    const decoded = (spans[index + 1]?.out ?? size) - out;
    if (decoded > MAX_FRAME) throw bad(`a frame of it has ${decoded} bytes`);
  }
  if (spans.length === 0 && size > 0) throw bad('it has no frames');
  return { spans, decode, isArchive: true };
}

function bad(why: string): OciError {
  return new OciError('OCI_BAD_INDEX', `Cannot read the index of a layer: ${why}`);
}
