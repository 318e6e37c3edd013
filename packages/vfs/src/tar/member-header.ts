import { encodeName } from '@anole/bytes';
import type { Extent, FileType, Stat } from '../tree.ts';
import { padding } from './body.ts';
import { TarError } from './errors.ts';
import { putChecksum, putNumber, putText } from './fields.ts';
import { BLOCK, type Field, header, typeFlag } from './layout.ts';
import { schilyKey } from './pax.ts';
import { formatPax, formatTime, type PaxFields, setName } from './pax-writer.ts';

/** What a member's header is made from. */
export interface Member {
  /** As it stands in the archive: directories end in a slash. */
  readonly name: string;
  readonly stat: Stat;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Target of a symbolic link; for a hard link the name of the member it is. */
  readonly link: string;
  readonly isHardLink: boolean;
  /** Bytes that follow the header. */
  readonly storedSize: number;
  /** Of a sparse file, which is then written in GNU's format 1.0. */
  readonly extents?: readonly Extent[];
}

const flags: Readonly<Record<Exclude<FileType, 'socket'>, number>> = {
  file: typeFlag.file,
  directory: typeFlag.directory,
  symlink: typeFlag.symlink,
  character: typeFlag.character,
  block: typeFlag.block,
  fifo: typeFlag.fifo,
};

/**
 * The blocks before a member's body: a ustar header, and before it a PAX header where something
 * does not fit into it.
 *
 * @throws TarError `TAR_CANNOT_HOLD`
 */
export function memberHeader(member: Member): Uint8Array {
  const { stat } = member;
  if (stat.type === 'socket') throw cannotHold(member.name, 'it is a socket');
  const fields: PaxFields = new Map();
  const block = new Uint8Array(BLOCK);
  putName(block, fields, member);
  putLink(block, fields, member.link);
  putNumber(block, header.mode, stat.mode);
  putOr(block, header.uid, stat.uid, fields, 'uid');
  putOr(block, header.gid, stat.gid, fields, 'gid');
  putOr(block, header.size, member.storedSize, fields, 'size');
  putTime(block, fields, stat);
  putDevice(block, fields, stat);
  for (const [name, value] of member.xattrs) {
    if (name.includes('\0')) throw cannotHold(member.name, 'an attribute has NUL in its name');
    fields.set(schilyKey(name), value);
  }
  putMagic(block, member.isHardLink ? typeFlag.hardLink : flags[stat.type]);
  return fields.size === 0 ? block : withPax(fields, member, block);
}

/** The map at the start of a sparse file's body (1.0), padded. */
export function sparseMap(extents: readonly Extent[], size: number): Uint8Array {
  const last = extents.at(-1);
  const end = last === undefined ? 0 : last.offset + last.length;
  // A hole at the end is marked by an empty extent, by which GNU tar knows the size.
  const all = end < size ? [...extents, { offset: size, length: 0 }] : extents;
  const lines = [all.length, ...all.flatMap(({ offset, length }) => [offset, length])];
  const text = encodeName(`${lines.join('\n')}\n`);
  const padded = new Uint8Array(text.length + padding(text.length));
  padded.set(text);
  return padded;
}

function putName(block: Uint8Array, fields: PaxFields, member: Member): void {
  const { name, extents, stat } = member;
  if (name.includes('\0')) throw cannotHold(name, 'its name holds a NUL');
  if (extents !== undefined) {
    fields.set('GNU.sparse.major', '1');
    fields.set('GNU.sparse.minor', '0');
    fields.set('GNU.sparse.realsize', String(stat.size));
    setName(fields, 'GNU.sparse.name', name);
    putText(block, header.name, sparseFileName(name));
    return;
  }
  const split = splitName(name);
  if (split) {
    putText(block, header.prefix, split.prefix);
    putText(block, header.name, split.name);
  } else {
    setName(fields, 'path', name);
    putText(block, header.name, name);
  }
}

/** What a tar that knows nothing of sparse files unpacks it as: GNU tar's form, without its pid. */
function sparseFileName(name: string): string {
  const slash = name.lastIndexOf('/') + 1;
  return `${name.slice(0, slash)}GNUSparseFile.0/${name.slice(slash)}`;
}

/** A name in ustar's two fields, or undefined where it does not fit or is not ASCII. */
function splitName(name: string): { prefix: string; name: string } | undefined {
  if (!isAscii(name)) return undefined;
  const [, nameSize] = header.name;
  const [, prefixSize] = header.prefix;
  if (name.length <= nameSize) return { prefix: '', name };
  if (name.length > nameSize + prefixSize + 1) return undefined;
  // The slash that divides is in neither field; a directory's last one cannot divide.
  const slash = name.indexOf('/', name.length - nameSize - 1);
  if (slash < 1 || slash > prefixSize || slash === name.length - 1) return undefined;
  return { prefix: name.slice(0, slash), name: name.slice(slash + 1) };
}

function putLink(block: Uint8Array, fields: PaxFields, link: string): void {
  if (link === '') return;
  putText(block, header.link, link);
  if (!isAscii(link) || link.length > header.link[1]) setName(fields, 'linkpath', link);
}

function putOr(
  block: Uint8Array,
  field: Field,
  value: number,
  fields: PaxFields,
  key: string,
): void {
  if (!putNumber(block, field, value)) fields.set(key, String(value));
}

function putTime(block: Uint8Array, fields: PaxFields, { mtime }: Stat): void {
  const fits = putNumber(block, header.mtime, mtime.seconds);
  if (!fits || mtime.nanoseconds !== 0) fields.set('mtime', formatTime(mtime));
}

function putDevice(block: Uint8Array, fields: PaxFields, { type, rdev }: Stat): void {
  const isDevice = type === 'character' || type === 'block';
  putOr(block, header.major, isDevice ? (rdev?.major ?? 0) : 0, fields, 'SCHILY.devmajor');
  putOr(block, header.minor, isDevice ? (rdev?.minor ?? 0) : 0, fields, 'SCHILY.devminor');
}

function putMagic(block: Uint8Array, flag: number): void {
  block[header.type[0]] = flag;
  putText(block, header.magic, 'ustar');
  putText(block, header.version, '00');
  putChecksum(block);
}

function withPax(fields: PaxFields, member: Member, block: Uint8Array): Uint8Array {
  const body = formatPax(fields);
  const all = new Uint8Array(BLOCK + body.length + padding(body.length) + BLOCK);
  const pax = all.subarray(0, BLOCK);
  const base = member.name.replace(/\/$/, '');
  putText(pax, header.name, `PaxHeaders/${base.slice(base.lastIndexOf('/') + 1)}`);
  putNumber(pax, header.mode, 0o644);
  putNumber(pax, header.uid, 0);
  putNumber(pax, header.gid, 0);
  putNumber(pax, header.size, body.length);
  putNumber(pax, header.mtime, 0);
  putNumber(pax, header.major, 0);
  putNumber(pax, header.minor, 0);
  putMagic(pax, typeFlag.pax);
  all.set(body, BLOCK);
  all.set(block, all.length - BLOCK);
  return all;
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) >= 0x80) return false;
  return true;
}

function cannotHold(name: string, reason: string): TarError {
  return new TarError(
    'TAR_CANNOT_HOLD',
    `Cannot write ${JSON.stringify(name)} into a tar: ${reason}`,
  );
}
