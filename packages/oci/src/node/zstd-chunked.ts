import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import type { ReadOptions, Source } from '@anole/bytes';
import { OciError } from '../errors.ts';
import type { LayerIndex } from '../layer-index.ts';
import type { Descriptor } from '../manifest.ts';
import { parseChunkedToc } from '../toc/chunked-toc.ts';

/** Annotations of a zstd:chunked layer. Source: containers/storage pkg/chunked. */
const CHECKSUM = 'io.github.containers.zstd-chunked.manifest-checksum';
const POSITION = 'io.github.containers.zstd-chunked.manifest-position';
/** The first kind of table: JSON, compressed by zstd. */
const TYPE = 1;
/** Bytes of a table at most. */
const MAX_TOC = 256 * 1024 * 1024;

export function isZstdChunked({ annotations }: Descriptor): boolean {
  return annotations?.[CHECKSUM] !== undefined && annotations[POSITION] !== undefined;
}

/**
 * The index that a zstd:chunked layer has in itself: see {@link isZstdChunked}. The
 * layer's descriptor has its digest: who trusts the image trusts it.
 *
 * @throws OciError `OCI_BAD_INDEX`, `OCI_WRONG_CONTENT`, `OCI_UNSUPPORTED`
 */
export async function zstdChunkedIndex(
  layer: Descriptor,
  stored: Source,
  options?: ReadOptions,
): Promise<LayerIndex> {
  const { [CHECKSUM]: checksum = '', [POSITION]: position = '' } = layer.annotations ?? {};
  const [start, length, size] = parsePosition(position, layer);
  const bytes = await stored.read(start, length, options);
  const met = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (met !== checksum) {
    throw new OciError(
      'OCI_WRONG_CONTENT',
      `Cannot accept the table of contents of ${layer.digest}: it has the digest ${met} instead of ${checksum}`,
    );
  }
  return parseChunkedToc(decompressExactly(bytes, size), {
    compressedSize: layer.size,
    dataEnd: start,
    decode: decompressExactly,
  });
}

function parsePosition(text: string, layer: Descriptor): readonly [number, number, number] {
  const numbers = /^(\d{1,15}):(\d{1,15}):(\d{1,15}):(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  const [start = 0, length = 0, size = 0, type = 0] = numbers ?? [];
  const isInside =
    length > 0 && start + length <= layer.size && size <= MAX_TOC && length <= MAX_TOC;
  if (numbers === undefined || !isInside) {
    throw new OciError(
      'OCI_BAD_INDEX',
      `Cannot find a table of contents at ${text} of ${layer.digest}`,
    );
  }
  if (type === TYPE) return [start, length, size];
  throw new OciError('OCI_UNSUPPORTED', `Cannot read a table of contents of the type ${type}`);
}

/** One zstd frame, of which the size is known: more is not made. */
function decompressExactly(stored: Uint8Array, size: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = zstdDecompressSync(stored, { maxOutputLength: Math.max(size, 1) });
  } catch (error) {
    throw new OciError(
      'OCI_BAD_LAYER',
      'Cannot decompress a part of a layer: its data is damaged',
      {
        cause: error,
      },
    );
  }
  if (bytes.length === size) return bytes;
  throw new OciError(
    'OCI_BAD_LAYER',
    `Cannot decompress a part of a layer: it has ${bytes.length} bytes instead of ${size}`,
  );
}
