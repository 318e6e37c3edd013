import { type FileType, type MemberFacts, type TarMember, tarMember } from '@anole/vfs';
import { OciError } from '../errors.ts';
import { type JsonObject, parseJson } from '../json.ts';
import type { LayerIndex, LayerParts, PartSpan } from '../layer-index.ts';
import { parseTimestamp } from '../timestamp.ts';

/** Entries of a table at most. */
const MAX_ENTRIES = 4_000_000;

const types: Readonly<Record<string, FileType | 'hardlink'>> = {
  reg: 'file',
  dir: 'directory',
  symlink: 'symlink',
  hardlink: 'hardlink',
  char: 'character',
  block: 'block',
  fifo: 'fifo',
};
/** Files that the format itself adds, which are none of the image's. Source: stargz-snapshotter, docs/estargz.md. */
export const ownNames = {
  toc: 'stargz.index.json',
  /** Behind the files that are wanted first. */
  prefetch: '.prefetch.landmark',
  noPrefetch: '.no.prefetch.landmark',
} as const;
const ownPaths: ReadonlySet<string> = new Set(Object.values(ownNames));

export function isOwnName(path: string): boolean {
  return ownPaths.has(path);
}

/** A part of a file, as a table of contents has it: compressed by itself. */
interface Chunk {
  readonly start: number;
  /** Undefined where the table does not say where the file ends: before the next one. */
  readonly fileEnd: number | undefined;
  /** Where several chunks share what is stored: bytes of the others before this one. */
  readonly inner: number;
  readonly size: number;
  readonly digest: string | undefined;
}

export interface ChunkedTocOptions extends Pick<LayerParts, 'decode'> {
  /** Bytes of the layer, as it is stored. */
  readonly compressedSize: number;
  /** Where the data of files end in it. */
  readonly dataEnd: number;
}

/**
 * Reads the table of contents of an eStargz or a zstd:chunked layer: JSON of the same form. What the
 * index then leads to is no archive, but the data of all files, one behind the other.
 *
 * @throws OciError `OCI_BAD_INDEX`; TarError for names that lead away
 */
export function parseChunkedToc(json: Uint8Array, options: ChunkedTocOptions): LayerIndex {
  const toc = parseJson(json, { what: 'the table of contents of a layer', code: 'OCI_BAD_INDEX' });
  const entries = toc.objects('entries');
  if (entries.length > MAX_ENTRIES) throw toc.wrong('entries', `too long: ${entries.length}`);
  const members: TarMember[] = [];
  const chunks: Chunk[] = [];
  let size = 0;
  let first = 0;
  let file: { readonly end: number | undefined; left: number } | undefined;
  for (const entry of entries) {
    const type = entry.string('type');
    if (type === 'chunk') {
      if (file === undefined) throw entry.wrong('type', 'a chunk of no file');
    } else {
      if (file && file.left !== 0)
        throw entry.wrong('type', 'behind a file whose chunks are missing');
      file = undefined;
      const facts = memberFacts(entry, type, size);
      const member = tarMember(facts);
      if (member.path === ownNames.prefetch) first = size;
      if (isOwnName(member.path)) continue;
      members.push(member);
      if (facts.type !== 'file' || facts.size === 0) continue;
      file = { end: countOf(entry, 'endOffset'), left: facts.size };
    }
    const chunk = chunkOf(entry, file);
    chunks.push(chunk);
    file.left -= chunk.size;
    size += chunk.size;
  }
  if (file && file.left !== 0) throw toc.wrong('entries', 'cut off: chunks are missing');
  const { compressedSize, decode } = options;
  const spans = spansOf(chunks, options);
  const wantedFirst = first > 0 && { wantedFirst: first };
  return { members, compressedSize, size, ...wantedFirst, parts: { spans, decode } };
}

function memberFacts(entry: JsonObject, typeName: string, dataOffset: number): MemberFacts {
  const type = types[typeName];
  if (type === undefined) throw entry.wrong('type', 'unknown');
  const isDevice = type === 'character' || type === 'block';
  const count = (name: string) => countOf(entry, name) ?? 0;
  return {
    name: entry.string('name'),
    type,
    mode: count('mode') & 0o7777,
    uid: count('uid'),
    gid: count('gid'),
    userName: entry.optionalString('userName') ?? '',
    groupName: entry.optionalString('groupName') ?? '',
    mtime: parseTimestamp(entry.optionalString('modtime') ?? ''),
    size: type === 'file' ? count('size') : 0,
    link: entry.optionalString('linkName') ?? '',
    ...(isDevice && { rdev: { major: count('devMajor'), minor: count('devMinor') } }),
    xattrs: xattrsOf(entry),
    dataOffset,
  };
}

function xattrsOf(entry: JsonObject): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const [name, text] of Object.entries(entry.texts('xattrs') ?? {})) {
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
      throw entry.wrong('xattrs', 'no base64');
    }
    found.set(
      name,
      Uint8Array.from(atob(text), (character) => character.charCodeAt(0)),
    );
  }
  return found;
}

/** Undefined where it is absent or 0: writers leave out what is 0. */
function countOf(entry: JsonObject, name: string): number | undefined {
  return (entry.raw[name] === undefined ? 0 : entry.count(name)) || undefined;
}

/** @param file of which `left` bytes are wanted: all of them in one chunk, where no size is said */
function chunkOf(
  entry: JsonObject,
  { left, end: fileEnd }: { readonly left: number; readonly end: number | undefined },
): Chunk {
  const size = countOf(entry, 'chunkSize') ?? left;
  if (size > left) throw entry.wrong('chunkSize', 'more than the file has');
  // Zeros are stored like all other bytes.
  const type = entry.optionalString('chunkType');
  if (type !== undefined && type !== 'zeros') throw entry.wrong('chunkType', 'unknown');
  const digest =
    entry.optionalString('chunkDigest') ??
    (size === left ? entry.optionalString('digest') : undefined);
  const hex = digest === undefined ? undefined : /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  if (digest !== undefined && hex === undefined) throw entry.wrong('chunkDigest', 'no SHA-256');
  const inner = countOf(entry, 'innerOffset') ?? 0;
  return { start: entry.count('offset'), fileEnd, inner, size, digest: hex };
}

/** A chunk ends where the next one begins, or with its file, where the table says where that is. */
function spansOf(chunks: readonly Chunk[], { dataEnd }: ChunkedTocOptions): readonly PartSpan[] {
  const starts = [...new Set(chunks.map(({ start }) => start)), dataEnd].sort((a, b) => a - b);
  const next = new Map(starts.map((start, at) => [start, starts[at + 1]]));
  let out = 0;
  return chunks.map(({ start, fileEnd = dataEnd, inner, size, digest }) => {
    const end = Math.min(next.get(start) ?? 0, fileEnd);
    if (start >= end || fileEnd > dataEnd) {
      throw new OciError(
        'OCI_BAD_INDEX',
        `Cannot use the table of contents of a layer: it has a chunk from byte ${start} to ${end}`,
      );
    }
    const span: PartSpan = {
      out,
      start,
      end,
      ...(digest !== undefined && { digest }),
      ...(inner > 0 && { inner }),
    };
    out += size;
    return span;
  });
}
