import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import { tarPadding } from '@anole/vfs';
import { mediaTypes } from '../../media-types.ts';
import { ownNames } from '../../toc/chunked-toc.ts';
import { estargz, estargzFooter } from '../../toc/estargz.ts';
import { encodeToc, type TocEntry } from '../../toc/write-toc.ts';
import {
  SKIPPABLE_HEADER,
  skippableHeader,
  tocAnnotations,
  zstdChunkedFooter,
} from '../../toc/zstd-chunked.ts';
import type { Chunking } from '../chunker.ts';
import { addedMember, plainHeader } from './pieces.ts';

/** What stands behind the data of a layer. */
export interface LayerEnd {
  /** As it is stored. */
  readonly stored: readonly Uint8Array[];
  /** Bytes of the archive that this adds. */
  readonly archive: readonly Uint8Array[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** A form of layers that readers can take by ranges, and that others read as ever. */
export interface ChunkedFormat {
  readonly name: 'estargz' | 'zstd:chunked';
  readonly mediaType: string;
  readonly chunking: Chunking;
  /** Whether the table is a file of the archive: then the end of the archive is behind it. */
  readonly isInArchive: boolean;
  /** Bytes as a gzip member, or a zstd frame. */
  compress(bytes: Uint8Array): Promise<Uint8Array>;
  /**
   * The table and whatever leads to it.
   *
   * @param at bytes of the layer before it
   * @param size of the archive before it
   */
  end(entries: readonly TocEntry[], at: number, size: number): Promise<LayerEnd>;
}

const gzipped = promisify(gzip);
const zstdCompressed = promisify(zstdCompress);
/** An archive ends with two blocks of zeros. */
const ARCHIVE_END = 1024;

/** eStargz. Source: stargz-snapshotter, docs/estargz.md. */
export const estargzFormat: ChunkedFormat = {
  name: 'estargz',
  mediaType: mediaTypes.layerGzip,
  chunking: { kind: 'fixed', size: 4 * 1024 * 1024 },
  isInArchive: true,
  compress: (bytes) => gzipped(bytes),
  async end(entries, at, size) {
    // The end of a chunk is not said: what others write has none.
    const json = encodeToc(entries.map(({ endOffset: _, ...entry }) => entry));
    const file = [
      plainHeader(addedMember(ownNames.toc, json.length)),
      json,
      new Uint8Array(tarPadding(json.length) + ARCHIVE_END),
    ];
    const total = file.reduce((sum, { length }) => sum + length, size);
    return {
      stored: [await gzipped(Buffer.concat(file)), estargzFooter(at)],
      archive: file,
      annotations: { [estargz.tocDigest]: digestOf(json), [estargz.size]: String(total) },
    };
  },
};

/** zstd:chunked. Source: containers/storage, pkg/chunked/compressor/compressor.go. */
export const zstdChunkedFormat: ChunkedFormat = {
  name: 'zstd:chunked',
  mediaType: mediaTypes.layerZstd,
  // Files change in their middle: chunks behind are found again.
  chunking: { kind: 'content', size: 64 * 1024 },
  isInArchive: false,
  compress: (bytes) => zstdCompressed(bytes),
  async end(entries, at) {
    const json = encodeToc(entries);
    const table = await zstdCompressed(json);
    const place = { start: at + SKIPPABLE_HEADER, length: table.length, size: json.length };
    return {
      stored: [skippableHeader(table.length), table, zstdChunkedFooter(place)],
      archive: [],
      annotations: tocAnnotations({ ...place, checksum: digestOf(table) }),
    };
  },
};

function digestOf(bytes: Uint8Array): string {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}
