import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { decodeZstd, type ReadOptions, type Source } from '@anole/bytes';
import { systemCode } from '@anole/host';
import { OciError } from '../errors.ts';
import type { LayerIndex } from '../layer-index.ts';
import type { Descriptor } from '../manifest.ts';
import { parseChunkedToc } from '../toc/chunked-toc.ts';
import { parseTocFacts } from '../toc/zstd-chunked.ts';

/**
 * The index that a zstd:chunked layer has in itself: see `isZstdChunked`. The
 * layer's descriptor has its digest: who trusts the image trusts it.
 *
 * @throws OciError `OCI_BAD_INDEX`, `OCI_WRONG_CONTENT`, `OCI_UNSUPPORTED`
 */
export async function zstdChunkedIndex(
  layer: Descriptor,
  stored: Source,
  options?: ReadOptions,
): Promise<LayerIndex> {
  const { start, length, size, checksum } = parseTocFacts(layer);
  const bytes = await stored.read(start, length, options);
  const met = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (met !== checksum) {
    throw new OciError(
      'OCI_WRONG_CONTENT',
      `Cannot accept the table of contents of ${layer.digest}: it has the digest ${met} instead of ${checksum}`,
    );
  }
  return parseChunkedToc(decodeZstdPart(bytes, size, 0), {
    compressedSize: layer.size,
    dataEnd: start,
    decode: decodeZstdPart,
  });
}

/** A part of what a zstd frame decompresses to; some writers have headers of the archive behind it. */
export function decodeZstdPart(stored: Uint8Array, size: number, inner: number): Uint8Array {
  const all = inner + size;
  let bytes: Uint8Array;
  try {
    bytes = zstdDecompressSync(stored, { maxOutputLength: Math.max(all, 1) });
  } catch (error) {
    if (systemCode(error) !== 'ERR_BUFFER_TOO_LARGE') throw damaged(error);
    bytes = decodeStart(stored, all);
  }
  if (bytes.length === all) return bytes.subarray(inner);
  throw new OciError(
    'OCI_BAD_LAYER',
    `Cannot decompress a part of a layer: it has ${bytes.length} bytes instead of ${all}`,
  );
}

/** The first bytes of a frame that is known to have more: Node's decoder gives all or none. */
function decodeStart(stored: Uint8Array, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  try {
    decodeZstd(stored, bytes, { partial: true });
  } catch (error) {
    throw damaged(error);
  }
  return bytes;
}

function damaged(cause: unknown): OciError {
  return new OciError('OCI_BAD_LAYER', 'Cannot decompress a part of a layer: its data is damaged', {
    cause,
  });
}
