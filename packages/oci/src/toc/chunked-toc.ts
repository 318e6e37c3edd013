import type { Span } from '@anole/bytes';
import { type FileType, type MemberFacts, type TarMember, tarMember } from '@anole/vfs';
import { OciError } from '../errors.ts';
import { type JsonObject, parseJson } from '../json.ts';
import type { LayerIndex } from '../layer-index.ts';
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
/** Files that the format itself adds, which are none of the image's. */
const ownNames: ReadonlySet<string> = new Set([
  'stargz.index.json',
  '.prefetch.landmark',
  '.no.prefetch.landmark',
]);

/** A part of a file, as a table of contents has it: compressed by itself. */
interface Chunk {
  readonly start: number;
  /** Undefined where the table does not say where it ends: before the next one. */
  readonly end: number | undefined;
  readonly size: number;
  readonly digest: string | undefined;
}

export interface ChunkedTocOptions {
  /** Bytes of the layer, as it is stored. */
  readonly compressedSize: number;
  /** Where the data of files end in it. */
  readonly dataEnd: number;
  /** Decompresses a chunk, which has `size` bytes then. */
  decode(stored: Uint8Array, size: number): Uint8Array;
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
  let file: { member: MemberFacts; left: number } | undefined;
  for (const entry of entries) {
    const type = entry.string('type');
    if (type === 'chunk') {
      if (file === undefined) throw entry.wrong('type', 'a chunk of no file');
    } else {
      if (file && file.left !== 0)
        throw entry.wrong('type', 'behind a file whose chunks are missing');
      file = undefined;
      const facts = memberFacts(entry, type, size);
      if (ownNames.has(facts.name)) continue;
      members.push(tarMember(facts));
      if (facts.type !== 'file' || facts.size === 0) continue;
      file = { member: facts, left: facts.size };
    }
    const chunk = chunkOf(entry, file.left);
    chunks.push(chunk);
    file.left -= chunk.size;
    size += chunk.size;
  }
  if (file && file.left !== 0) throw toc.wrong('entries', 'cut off: chunks are missing');
  const { compressedSize, decode } = options;
  const spans = spansOf(chunks, options);
  return { members, compressedSize, size, parts: { spans, decode } };
}

function memberFacts(entry: JsonObject, typeName: string, dataOffset: number): MemberFacts {
  const type = types[typeName];
  if (type === undefined) throw entry.wrong('type', 'unknown');
  const isDevice = type === 'character' || type === 'block';
  const count = (name: string) => (entry.raw[name] === undefined ? 0 : entry.count(name));
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

/** @param left bytes that the file still wants: all of them in one chunk, where no size is said */
function chunkOf(entry: JsonObject, left: number): Chunk {
  const count = (name: string) => (entry.raw[name] === undefined ? undefined : entry.count(name));
  const size = count('chunkSize') || left;
  if (size > left) throw entry.wrong('chunkSize', 'more than the file has');
  if (count('innerOffset')) throw entry.wrong('innerOffset', 'not supported');
  const type = entry.optionalString('chunkType');
  if (type !== undefined && type !== '') throw entry.wrong('chunkType', 'not supported');
  const digest =
    entry.optionalString('chunkDigest') ??
    (size === left ? entry.optionalString('digest') : undefined);
  const hex = digest === undefined ? undefined : /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  if (digest !== undefined && hex === undefined) throw entry.wrong('chunkDigest', 'no SHA-256');
  const end = count('endOffset');
  return { start: entry.count('offset'), end: end === 0 ? undefined : end, size, digest: hex };
}

function spansOf(chunks: readonly Chunk[], { dataEnd }: ChunkedTocOptions): readonly Span[] {
  const starts = [...new Set(chunks.map(({ start }) => start)), dataEnd].sort((a, b) => a - b);
  const next = new Map(starts.map((start, at) => [start, starts[at + 1]]));
  let out = 0;
  return chunks.map(({ start, end = next.get(start) ?? 0, size, digest }) => {
    if (start >= end || end > dataEnd) {
      throw new OciError(
        'OCI_BAD_INDEX',
        `Cannot use the table of contents of a layer: it has a chunk from byte ${start} to ${end}`,
      );
    }
    const span = { out, start, end, ...(digest !== undefined && { digest }) };
    out += size;
    return span;
  });
}
