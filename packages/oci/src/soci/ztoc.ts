import { decodeName, decodeZstd, encodeName } from '@anole/bytes';
import { compareNames, type FileType, type TarMember, tarMember } from '@anole/vfs';
import { OciError } from '../errors.ts';
import type { LayerIndex, LayerParts } from '../layer-index.ts';
import { parseTimestamp, writeTimestamp } from '../timestamp.ts';
import { FlatTable } from './flatbuffer-reader.ts';
import { FlatWriter } from './flatbuffer-writer.ts';
import { encodeFrames, parseFrames } from './frames-info.ts';
import { encodeGzipZinfo, parseGzipZinfo } from './zinfo.ts';

/** What SOCI keeps of a layer. */
export interface Ztoc extends LayerIndex {
  /** Who made it. */
  readonly tool: string;
}

export interface ZtocOptions {
  /** Decompresses zstd frames, where there is something faster than `decodeZstd` of `@anole/bytes`. */
  readonly decodeZstd?: LayerParts['decode'];
}

const VERSION = '0.9';
const GZIP = 1;
const UNCOMPRESSED = 2;
/** Ours: SOCI has none for zstd. See docs/formats/zstd-ztoc.md. */
const ZSTD = 3;
/** Of the table of an uncompressed layer: zinfo.fbs. */
const TAR_VERSION = 2;

/** Fields in the order of the schema. Source: soci-snapshotter ztoc/fbs/ztoc.fbs. */
const root = { version: 0, tool: 1, compressedSize: 2, size: 3, toc: 4, compression: 5 } as const;
const info = { algorithm: 0, maxSpan: 1, digests: 2, checkpoints: 3 } as const;
const file = {
  name: 0,
  type: 1,
  offset: 2,
  size: 3,
  link: 4,
  mode: 5,
  uid: 6,
  gid: 7,
  userName: 8,
  groupName: 9,
  mtime: 10,
  major: 11,
  minor: 12,
  pax: 13,
} as const;
const tarInfo = { version: 0, span: 1, size: 2 } as const;

const typeNames: Readonly<Record<string, FileType | 'hardlink'>> = {
  reg: 'file',
  dir: 'directory',
  symlink: 'symlink',
  hardlink: 'hardlink',
  char: 'character',
  block: 'block',
  fifo: 'fifo',
};
const namesOfTypes = new Map(Object.entries(typeNames).map(([name, type]) => [type, name]));

/**
 * Parses a ztoc of foreign origin.
 *
 * @throws OciError `OCI_BAD_INDEX`, `OCI_UNSUPPORTED`; TarError for names that lead away
 */
export function parseZtoc(bytes: Uint8Array, options: ZtocOptions = {}): Ztoc {
  const ztoc = FlatTable.root(bytes);
  const compression = ztoc.table(root.compression);
  if (compression === undefined) throw bad('it says nothing of the compression');
  const members = (ztoc.table(root.toc)?.tables(0) ?? []).map(readMember);
  const digests = compression.texts(info.digests).map(digestOf);
  const compressedSize = ztoc.count(root.compressedSize);
  const size = ztoc.count(root.size);
  const tool = decodeName(ztoc.bytes(root.tool));
  const common = { members, compressedSize, size, tool };
  const algorithm = compression.u8(info.algorithm, GZIP);
  const checkpoints = compression.bytes(info.checkpoints);
  if (algorithm === UNCOMPRESSED) {
    const span = FlatTable.root(checkpoints).count(tarInfo.span);
    if (span === 0 || Math.ceil(compressedSize / span) !== digests.length) {
      throw bad(`it has ${digests.length} digests for spans of ${span} bytes`);
    }
    return { ...common, plain: { span, digests } };
  }
  if (algorithm === ZSTD) {
    const decode = options.decodeZstd ?? decodeFrame;
    return {
      ...common,
      parts: parseFrames(checkpoints, { digests, compressedSize, size, decode }),
    };
  }
  if (algorithm !== GZIP) {
    throw new OciError(
      'OCI_UNSUPPORTED',
      `Cannot use the index of a layer: compression ${algorithm}`,
    );
  }
  const zinfo = parseGzipZinfo(checkpoints);
  return { ...common, gzip: { ...zinfo, compressedSize, size, digests } };
}

function readMember(entry: FlatTable): TarMember {
  const type = typeNames[decodeName(entry.bytes(file.type))];
  if (type === undefined) throw bad('a member is of an unknown type');
  const isDevice = type === 'character' || type === 'block';
  const pax = entry.tables(file.pax).map((record) => {
    return [decodeName(record.bytes(0)), record.bytes(1)] as const;
  });
  return tarMember({
    name: decodeName(entry.bytes(file.name)),
    type,
    mode: entry.count(file.mode) & 0o7777,
    uid: entry.u32(file.uid),
    gid: entry.u32(file.gid),
    userName: decodeName(entry.bytes(file.userName)),
    groupName: decodeName(entry.bytes(file.groupName)),
    mtime: parseTimestamp(decodeName(entry.bytes(file.mtime))),
    size: entry.count(file.size),
    link: decodeName(entry.bytes(file.link)),
    ...(isDevice && { rdev: { major: entry.count(file.major), minor: entry.count(file.minor) } }),
    pax: new Map(pax),
    dataOffset: entry.count(file.offset),
  });
}

function digestOf(text: Uint8Array): string {
  const found = /^sha256:([0-9a-f]{64})$/.exec(decodeName(text));
  if (found === null) throw bad('a digest of it is none');
  return found[1]!;
}

function decodeFrame(stored: Uint8Array, size: number, inner: number): Uint8Array {
  const bytes = new Uint8Array(inner + size);
  decodeZstd(stored, bytes, { partial: true });
  return bytes.subarray(inner);
}

/**
 * Writes a ztoc, byte by byte as the reference does.
 *
 * @param ztoc of a layer in parts, it has their stored digests
 * @throws OciError `OCI_UNSUPPORTED` for sparse files and sockets, which it cannot tell of
 */
export function encodeZtoc(ztoc: Ztoc): Uint8Array {
  const writer = new FlatWriter();
  const version = writer.text(encodeName(VERSION));
  const tool = writer.text(encodeName(ztoc.tool));
  const toc = writeToc(writer, ztoc.members);
  const compression = writeCompression(writer, ztoc);
  writer.startTable(6);
  writer.refer(root.version, version);
  writer.refer(root.tool, tool);
  writer.refer(root.toc, toc);
  writer.number(root.compressedSize, 8, ztoc.compressedSize);
  writer.number(root.size, 8, ztoc.size);
  writer.refer(root.compression, compression);
  return writer.finish(writer.endTable());
}

function writeToc(writer: FlatWriter, members: readonly TarMember[]): number {
  const places: number[] = [];
  for (const member of members.toReversed()) places.push(writeMember(writer, member));
  const list = writer.references(places.reverse());
  writer.startTable(1);
  writer.refer(0, list);
  return writer.endTable();
}

function writeMember(writer: FlatWriter, member: TarMember): number {
  const type = namesOfTypes.get(member.type);
  if (type === undefined || member.extents) throw cannotTell(member);
  const text = (value: string) => writer.text(encodeName(value));
  const name = text(member.name);
  const typeName = text(type);
  const link = text(member.target);
  const userName = text(member.userName);
  const groupName = text(member.groupName);
  const mtime = text(writeTimestamp(member.mtime));
  const pax = writePax(writer, member.pax);
  writer.startTable(14);
  writer.refer(file.name, name);
  writer.refer(file.type, typeName);
  writer.number(file.offset, 8, member.dataOffset);
  writer.number(file.size, 8, member.size);
  writer.refer(file.link, link);
  writer.number(file.mode, 8, member.mode);
  writer.number(file.uid, 4, member.uid);
  writer.number(file.gid, 4, member.gid);
  writer.refer(file.userName, userName);
  writer.refer(file.groupName, groupName);
  writer.refer(file.mtime, mtime);
  writer.number(file.major, 8, member.rdev?.major ?? 0);
  writer.number(file.minor, 8, member.rdev?.minor ?? 0);
  writer.refer(file.pax, pax);
  return writer.endTable();
}

function writePax(writer: FlatWriter, records: ReadonlyMap<string, Uint8Array>): number {
  const places: number[] = [];
  for (const [key, value] of [...records].sort(([a], [b]) => compareNames(a, b))) {
    const keyPlace = writer.text(encodeName(key));
    const valuePlace = writer.text(value);
    writer.startTable(2);
    writer.refer(0, keyPlace);
    writer.refer(1, valuePlace);
    places.push(writer.endTable());
  }
  return writer.references(places);
}

function writeCompression(writer: FlatWriter, ztoc: Ztoc): number {
  const { algorithm, digests, checkpoints } = compressionOf(ztoc);
  const places = writer.bytes(checkpoints);
  const texts = digests.map((digest) => writer.text(encodeName(`sha256:${digest}`)));
  const list = writer.references(texts);
  writer.startTable(4);
  writer.number(info.maxSpan, 4, digests.length - 1);
  writer.refer(info.digests, list);
  writer.refer(info.checkpoints, places);
  writer.number(info.algorithm, 1, algorithm, GZIP);
  return writer.endTable();
}

function compressionOf(ztoc: Ztoc) {
  const { gzip, parts, plain } = ztoc;
  if (gzip) {
    return { algorithm: GZIP, digests: gzip.digests ?? [], checkpoints: encodeGzipZinfo(gzip) };
  }
  if (parts) {
    const digests = parts.spans.flatMap(({ storedDigest }) => storedDigest ?? []);
    return { algorithm: ZSTD, digests, checkpoints: encodeFrames(parts.spans) };
  }
  const checkpoints = encodeTarInfo(ztoc);
  return { algorithm: UNCOMPRESSED, digests: plain?.digests ?? [], checkpoints };
}

function encodeTarInfo({ plain, compressedSize }: Ztoc): Uint8Array {
  const writer = new FlatWriter();
  writer.startTable(3);
  writer.number(tarInfo.version, 4, TAR_VERSION);
  writer.number(tarInfo.span, 8, plain?.span ?? 0);
  writer.number(tarInfo.size, 8, compressedSize);
  return writer.finish(writer.endTable());
}

function cannotTell({ path, type }: TarMember): OciError {
  return new OciError(
    'OCI_UNSUPPORTED',
    `Cannot index the layer: ${JSON.stringify(path)} is a ${type === 'file' ? 'sparse file' : type}`,
  );
}

function bad(why: string): OciError {
  return new OciError('OCI_BAD_INDEX', `Cannot read the index of a layer: ${why}`);
}
