import { GunzipStream, type ReadOptions, type Source } from '@anole/bytes';
import { readTar } from '@anole/vfs';
import { gather } from '../content.ts';
import { verifyDigest } from '../digest.ts';
import { OciError } from '../errors.ts';
import type { LayerIndex } from '../layer-index.ts';
import type { Descriptor } from '../manifest.ts';
import { layerCompression } from '../media-types.ts';
import { isOwnName, ownNames, parseChunkedToc } from './chunked-toc.ts';
import { MAX_TOC } from './limits.ts';

/** Annotations of a layer. Source: stargz-snapshotter, docs/estargz.md and estargz/types.go. */
export const estargz = {
  tocDigest: 'containerd.io/snapshot/stargz/toc.digest',
  /** Bytes of the archive, decompressed, its table of contents included. */
  size: 'io.containers.estargz.uncompressed-size',
} as const;

/** Bytes of the footer: an empty gzip member, whose extra field has the place of the table. */
export const FOOTER = 51;
/** The one of CRFS, whose extra field has no head. */
const OLD_FOOTER = 47;
const HEADER = 10;
const SUBFIELD = /^([0-9a-f]{16})STARGZ$/;

/** Whether a layer says that it is eStargz: who trusts its descriptor trusts its table of contents. */
export function isEstargz({ annotations, mediaType }: Descriptor): boolean {
  return annotations?.[estargz.tocDigest] !== undefined && layerCompression(mediaType) === 'gzip';
}

/**
 * Whether a member of a layer's archive is of the image. The table of contents and the landmarks of a layer that
 * says that it is eStargz are not: nobody put them into the image, and lazy readers do not show them.
 */
export function isOfImage(layer: Descriptor, { path }: { readonly path: string }): boolean {
  return !isEstargz(layer) || !isOwnName(path);
}

/** Of a layer's members those of which {@link isOfImage} is true. */
export function membersOfImage<M extends { readonly path: string }>(
  layer: Descriptor,
  members: readonly M[],
): readonly M[] {
  return isEstargz(layer) ? members.filter(({ path }) => !isOwnName(path)) : members;
}

export interface EstargzOptions extends ReadOptions {
  /**
   * What the first of gzip members decodes to, of at most so many bytes; undefined where that cannot be told. For who has
   * a faster decoder than the one here.
   */
  gunzip?(stored: Uint8Array, most: number): Uint8Array | undefined;
}

/**
 * The index that an eStargz or stargz layer has in itself. It is verified where the layer's descriptor has the digest
 * of it; chunks are by the digests that it has.
 *
 * @param stored the layer, of which the end is read
 * @returns undefined for a layer that says not that it is one, and is none
 * @throws OciError `OCI_BAD_INDEX`, `OCI_WRONG_CONTENT`, `OCI_TOO_LARGE`; AnoleError for a damaged table
 */
export async function estargzIndex(
  layer: Descriptor,
  stored: Source,
  options: EstargzOptions = {},
): Promise<LayerIndex | undefined> {
  const { gunzip } = options;
  const digest = layer.annotations?.[estargz.tocDigest];
  const length = Math.min(FOOTER, stored.size);
  const footer = parseFooter(await stored.read(stored.size - length, length, options));
  if (footer === undefined || footer.toc >= stored.size - footer.size) {
    if (digest === undefined) return undefined;
    throw new OciError(
      'OCI_BAD_INDEX',
      `Cannot find the table of contents of ${layer.digest}: its end does not say where it is`,
    );
  }
  const end = stored.size - footer.size;
  if (end - footer.toc > MAX_TOC) throw tooLarge(layer);
  const toc = await stored.read(footer.toc, end - footer.toc, options);
  const json = await readToc(layer, toc, gunzip);
  if (digest !== undefined) {
    await verifyDigest(json, digest, `the table of contents of ${layer.digest}`);
  }
  const stream = new GunzipStream();
  return parseChunkedToc(json, {
    compressedSize: stored.size,
    dataEnd: footer.toc,
    decode(bytes, size, inner) {
      const all = gunzip?.(bytes, inner + size);
      if (all?.length === inner + size) return all.subarray(inner);
      return decodePart(stream, bytes, size, inner);
    },
  });
}

/** The place of the table and the size of the footer; undefined where bytes do not end in a footer. */
function parseFooter(end: Uint8Array): { readonly toc: number; readonly size: number } | undefined {
  for (const size of [FOOTER, OLD_FOOTER]) {
    const bytes = end.subarray(Math.max(0, end.length - size));
    const head = size === FOOTER ? HEADER + 6 : HEADER + 2;
    const isGzip = bytes.length === size && bytes[0] === 0x1f && bytes[1] === 0x8b;
    const text = String.fromCharCode(...bytes.subarray(head, head + 22));
    const place = SUBFIELD.exec(text)?.[1];
    if (!isGzip || place === undefined) continue;
    const toc = Number.parseInt(place, 16);
    if (Number.isSafeInteger(toc)) return { toc, size };
  }
  return undefined;
}

/** The footer of a layer whose table begins at a byte. */
export function estargzFooter(toc: number): Uint8Array {
  const footer = new Uint8Array(FOOTER);
  // Method 8, an extra field, no time, no operating system; 26 bytes of it: "SG", 22, the place.
  footer.set([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, 0x53, 0x47, 22, 0]);
  const place = `${toc.toString(16).padStart(16, '0')}STARGZ`;
  footer.set(new TextEncoder().encode(place), HEADER + 6);
  // A last block, stored, of no bytes. Checksum and size are 0.
  footer.set([1, 0, 0, 0xff, 0xff], HEADER + 6 + 22);
  return footer;
}

/** The table out of the archive that holds it. */
async function readToc(
  layer: Descriptor,
  stored: Uint8Array,
  faster: EstargzOptions['gunzip'],
): Promise<Uint8Array> {
  async function* archive(): AsyncGenerator<Uint8Array> {
    const all = faster?.(stored, MAX_TOC);
    if (all) return yield all;
    const gunzip = new GunzipStream();
    gunzip.write(stored);
    let size = 0;
    for (;;) {
      const piece = gunzip.read();
      if (piece.length === 0) return gunzip.end();
      size += piece.length;
      if (size > MAX_TOC) throw tooLarge(layer);
      yield piece.slice();
    }
  }
  for await (const entry of readTar(archive())) {
    if (entry.path === ownNames.toc) return await gather(entry.body(), MAX_TOC);
  }
  throw new OciError(
    'OCI_BAD_INDEX',
    `Cannot find the table of contents of ${layer.digest}: there is no ${ownNames.toc} where it should be`,
  );
}

/** A part of what gzip members decompress to; what follows is not looked at. */
function decodePart(
  gunzip: GunzipStream,
  stored: Uint8Array,
  size: number,
  inner: number,
): Uint8Array {
  gunzip.start();
  gunzip.write(stored);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < inner + size; ) {
    const piece = gunzip.read();
    if (piece.length === 0) {
      throw new OciError(
        'OCI_BAD_LAYER',
        `Cannot decompress a part of a layer: it has ${at} bytes instead of ${inner + size}`,
      );
    }
    const from = Math.max(0, inner - at);
    const to = Math.min(piece.length, inner + size - at);
    if (from < to) parts.push(piece.slice(from, to));
    at += piece.length;
  }
  return joined(parts, size);
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function tooLarge({ digest }: Descriptor): OciError {
  return new OciError(
    'OCI_TOO_LARGE',
    `Cannot read the table of contents of ${digest}: it has over ${MAX_TOC} bytes`,
    { details: { limit: MAX_TOC } },
  );
}
