import { cut } from '../digest.ts';
import { OciError } from '../errors.ts';
import type { Descriptor } from '../manifest.ts';
import { MAX_TOC } from './limits.ts';

/**
 * Names of a layer's annotations: today's, and those before containers/storage 1.44. Source: its
 * pkg/chunked/internal/minimal/compression.go.
 */
const prefixes = ['io.github.containers.zstd-chunked', 'io.containers.zstd-chunked'] as const;

/** The first kind of table: JSON, compressed by zstd. */
const TYPE = 1;
/** A frame that decoders pass over: its magic and its size (RFC 8878, 3.1.2). */
export const SKIPPABLE_HEADER = 8;
const SKIPPABLE = 0x184d2a50;
const MAGIC = 'GNUlInUx';
const FOOTER = 64;

/** Where the table lies in a layer. */
export interface TocPlace {
  readonly start: number;
  readonly length: number;
  /** Bytes of it, decompressed. */
  readonly size: number;
}

/** What a layer says of its table. */
export interface TocFacts extends TocPlace {
  /** The digest of the table, as it is compressed. */
  readonly checksum: string;
}

/** Whether a layer says that it is zstd:chunked: who trusts its descriptor trusts its table of contents. */
export function isZstdChunked({ annotations }: Descriptor): boolean {
  return textsOf(annotations) !== undefined;
}

/** @throws OciError `OCI_BAD_INDEX`, `OCI_UNSUPPORTED` for another kind of table */
export function parseTocFacts({ annotations, digest, size: all }: Descriptor): TocFacts {
  const { checksum, position } = textsOf(annotations) ?? { checksum: '', position: '' };
  const numbers = /^(\d{1,15}):(\d{1,15}):(\d{1,15}):(\d{1,3})$/.exec(position)?.slice(1);
  const [start = 0, length = 0, size = 0, type = 0] = numbers?.map(Number) ?? [];
  const isInside = length > 0 && start + length <= all && size <= MAX_TOC && length <= MAX_TOC;
  if (numbers === undefined || !isInside) {
    throw new OciError(
      'OCI_BAD_INDEX',
      `Cannot find a table of contents at ${cut(position)} of ${digest}`,
    );
  }
  if (type === TYPE) return { start, length, size, checksum };
  throw new OciError('OCI_UNSUPPORTED', `Cannot read a table of contents of the type ${type}`);
}

/** The annotations that {@link parseTocFacts} reads: START:BYTES:BYTES_DECOMPRESSED:TYPE, under both names. */
export function tocAnnotations({
  start,
  length,
  size,
  checksum,
}: TocFacts): Record<string, string> {
  const facts: Record<string, string> = {};
  for (const prefix of prefixes) {
    facts[`${prefix}.manifest-checksum`] = checksum;
    facts[`${prefix}.manifest-position`] = `${start}:${length}:${size}:${TYPE}`;
  }
  return facts;
}

function textsOf(annotations: Descriptor['annotations'] = {}) {
  for (const prefix of prefixes) {
    const checksum = annotations[`${prefix}.manifest-checksum`];
    const position = annotations[`${prefix}.manifest-position`];
    if (checksum !== undefined && position !== undefined) return { checksum, position };
  }
  return undefined;
}

export function skippableHeader(length: number): Uint8Array {
  const header = new Uint8Array(SKIPPABLE_HEADER);
  const view = new DataView(header.buffer);
  view.setUint32(0, SKIPPABLE, true);
  view.setUint32(4, length, true);
  return header;
}

/**
 * The frame at the end of a layer: places and sizes of its table and of what reassembles the archive, of which
 * we write none.
 */
export function zstdChunkedFooter({ start, length, size }: TocPlace): Uint8Array {
  const frame = new Uint8Array(SKIPPABLE_HEADER + FOOTER);
  frame.set(skippableHeader(FOOTER));
  const view = new DataView(frame.buffer, SKIPPABLE_HEADER);
  for (const [at, value] of [start, length, size, TYPE].entries()) {
    view.setBigUint64(at * 8, BigInt(value), true);
  }
  frame.set(new TextEncoder().encode(MAGIC), frame.length - MAGIC.length);
  return frame;
}
