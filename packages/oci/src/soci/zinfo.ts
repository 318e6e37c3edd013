import { type GzipCheckpoint, type GzipIndex, INFLATE_WINDOW } from '@anole/bytes';
import { OciError } from '../errors.ts';

const HEAD = 12;
const RECORD = 8 + 8 + 1 + INFLATE_WINDOW;
/** Of version 1 the first checkpoint is not written: it is behind the shortest header of gzip. */
const FIRST: GzipCheckpoint = { in: 10, out: 0, bits: 0, window: new Uint8Array(0) };

/**
 * The checkpoints of a gzip layer as SOCI keeps them. Source: soci-snapshotter
 * ztoc/compression/gzip_zinfo.c: u32 count, u64 span; then u64 in, u64 out, u8 bits and a window of 32
 * KiB for each.
 */
export function encodeGzipZinfo({ span, checkpoints }: GzipIndex): Uint8Array {
  const bytes = new Uint8Array(HEAD + checkpoints.length * RECORD);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, checkpoints.length, true);
  view.setBigInt64(4, BigInt(span), true);
  for (const [index, checkpoint] of checkpoints.entries()) {
    const at = HEAD + index * RECORD;
    view.setBigInt64(at, BigInt(checkpoint.in), true);
    view.setBigInt64(at + 8, BigInt(checkpoint.out), true);
    view.setUint8(at + 16, checkpoint.bits);
    // What comes before the beginning is zeros.
    bytes.set(checkpoint.window, at + RECORD - checkpoint.window.length);
  }
  return bytes;
}

/**
 * Reads what {@link encodeGzipZinfo} writes, and version 1. Windows alias `bytes`.
 *
 * @throws OciError `OCI_BAD_INDEX`
 */
export function parseGzipZinfo(bytes: Uint8Array): Pick<GzipIndex, 'span' | 'checkpoints'> {
  if (bytes.length < HEAD) throw badZinfo(bytes.length, 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = view.getInt32(0, true);
  const written = (bytes.length - HEAD) / RECORD;
  if (count < 1 || (written !== count && written !== count - 1))
    throw badZinfo(bytes.length, count);
  const checkpoints: GzipCheckpoint[] = written === count ? [] : [FIRST];
  for (let at = HEAD; at < bytes.length; at += RECORD) {
    const out = Number(view.getBigInt64(at + 8, true));
    checkpoints.push({
      in: Number(view.getBigInt64(at, true)),
      out,
      bits: view.getUint8(at + 16),
      window: bytes.subarray(at + RECORD - Math.min(Math.max(out, 0), INFLATE_WINDOW), at + RECORD),
    });
  }
  return { span: Number(view.getBigInt64(4, true)), checkpoints };
}

function badZinfo(length: number, count: number): OciError {
  return new OciError(
    'OCI_BAD_INDEX',
    `Cannot read the index of a layer: ${length} bytes hold no ${count} checkpoints`,
  );
}
