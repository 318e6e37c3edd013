import { viewOf } from '@anole/bytes';
import { toHex } from '../hex.ts';
import { parts, TOC_ENTRY_SIZE, TocEntry, tocFlags } from '../layout/toc.ts';
import type { MetaPlace } from '../reader/blob-info.ts';
import type { BlobPart } from '../reader/toc.ts';
import type { BlobOutput } from './blob-output.ts';
import type { ChunkInfoTable } from './chunk-info-table.ts';
import type { Settings } from './options.ts';

/** What a blob turned out to be when it had ended. */
export interface EndedBlob {
  /** Hexadecimal SHA-256. */
  readonly id: string;
  readonly size: number;
  readonly tocSize: number;
  readonly tocDigest: Uint8Array;
}

/** A part of a blob, of which something is said in its table of contents. */
export type WrittenPart = BlobPart & { readonly digest: Uint8Array };

/**
 * What stands behind the chunks of a blob, as far as it is wanted: their table, their digests, the bootstrap and
 * a table of contents. Source: nydus builder/src/core/blob.rs, dump_meta_data.
 */
export class BlobTail {
  readonly #output: BlobOutput;
  readonly #settings: Settings;
  readonly #parts: WrittenPart[] = [];

  constructor(output: BlobOutput, settings: Settings) {
    this.#output = output;
    this.#settings = settings;
  }

  /** Takes a part that has been written already into the table of contents. */
  addPart(part: WrittenPart): void {
    this.#parts.push(part);
  }

  /** @returns where the table of chunks lies */
  async writeTables(
    table: ChunkInfoTable,
    features: number,
    digests: readonly Uint8Array[],
  ): Promise<MetaPlace> {
    const { toc, inlineBootstrap, encoders, key } = this.#settings;
    const offset = this.#output.position;
    const bytes = table.encode();
    const { stored, compressed } = encode(bytes, this.#settings);
    const compressor = compressed ? this.#settings.compressor : 'none';
    const sizes = { compressedSize: stored.length, uncompressedSize: bytes.length };
    const place = { compressor, offset, ...sizes };
    const header = table.header(place, features);
    // Bytes of a compressor's own memory: before it is used again.
    await this.#output.write(stored);
    const storedHeader = key ? encoders.encrypt!(header, key) : header;
    await this.#output.write(storedHeader);
    const { length } = storedHeader;
    if (toc || inlineBootstrap) {
      await this.#output.tarHeader(parts.meta, place.compressedSize + length);
    }
    if (!toc) return place;
    const { sha256 } = encoders.hash;
    const size = bytes.length;
    const { compressedSize } = place;
    const part = { name: parts.meta, compressor, digest: sha256(bytes) };
    this.addPart({ ...part, offset, compressedSize, size });
    const whole = { offset: offset + compressedSize, compressedSize: length, size: length };
    const digest = sha256(header);
    this.addPart({ name: parts.metaHeader, compressor: 'none', digest, ...whole });
    await this.#writeDigests(digests);
    return place;
  }

  async #writeDigests(digests: readonly Uint8Array[]): Promise<void> {
    const bytes = join(digests, digests.length * 32);
    const offset = this.#output.position;
    await this.#output.write(bytes);
    await this.#output.tarHeader(parts.digests, bytes.length);
    const digest = this.#settings.encoders.hash.sha256(bytes);
    const sizes = { compressedSize: bytes.length, size: bytes.length };
    this.addPart({ name: parts.digests, compressor: 'none', digest, offset, ...sizes });
  }

  async addBootstrap(bootstrap: Uint8Array): Promise<void> {
    const { toc, encoders } = this.#settings;
    const zstd = toc ? encoders.compress.zstd : undefined;
    const packed = zstd?.(bootstrap);
    const compressed = packed !== undefined && packed.length < bootstrap.length;
    const stored = compressed ? packed : bootstrap;
    const offset = this.#output.position;
    await this.#output.write(stored);
    await this.#output.tarHeader(parts.bootstrap, stored.length);
    if (!toc) return;
    const digest = encoders.hash.sha256(bootstrap);
    const sizes = { compressedSize: stored.length, size: bootstrap.length };
    const compressor = compressed ? 'zstd' : 'none';
    this.addPart({ name: parts.bootstrap, compressor, digest, offset, ...sizes });
  }

  /** Ends the blob. */
  async finish(): Promise<EndedBlob> {
    const { toc, encoders } = this.#settings;
    let tocSize = 0;
    let tocDigest: Uint8Array = new Uint8Array(32);
    if (toc) {
      this.#output.startPart(encoders.sha256());
      const start = this.#output.position;
      const entries = encodeToc(this.#parts);
      await this.#output.write(entries);
      await this.#output.tarHeader(parts.toc, entries.length);
      tocSize = this.#output.position - start;
      tocDigest = this.#output.endPart();
    }
    const { position: size } = this.#output;
    return { id: toHex(this.#output.digest()), size, tocSize, tocDigest };
  }
}

export interface Encoded {
  readonly stored: Uint8Array;
  readonly compressed: boolean;
}

/** Bytes compressed where that makes them smaller, then encrypted. */
export function encode(bytes: Uint8Array, settings: Settings): Encoded {
  const { compressor, encoders } = settings;
  const packed = compressor === 'none' ? bytes : encoders.compress[compressor]!(bytes);
  return smaller(bytes, packed, settings);
}

/** Of bytes and what they are compressed what is smaller, encrypted. */
export function smaller(
  bytes: Uint8Array,
  packed: Uint8Array,
  { encoders, key }: Settings,
): Encoded {
  const compressed = packed.length < bytes.length;
  const stored = compressed ? packed : bytes;
  return { stored: key ? encoders.encrypt!(stored, key) : stored, compressed };
}

function encodeToc(entries: readonly WrittenPart[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * TOC_ENTRY_SIZE);
  entries.forEach(({ name, compressor, digest, offset, compressedSize, size }, at) => {
    const padded = new Uint8Array(16);
    padded.set(new TextEncoder().encode(name));
    TocEntry.write(viewOf(bytes), at * TOC_ENTRY_SIZE, {
      flags: tocFlags[compressor],
      name: padded,
      uncompressedDigest: digest,
      compressedOffset: offset,
      compressedSize,
      uncompressedSize: size,
    });
  });
  return bytes;
}

export function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
