import { decodeName } from '@anole/bytes';
import type { FileType, Timestamp } from '../tree.ts';
import type { TarEntry } from './entry.ts';
import { TarError } from './errors.ts';
import type { Header } from './header.ts';
import { memberPath } from './paths.ts';
import { parseCount, parseTime, paxXattrs } from './pax.ts';

type Attributes = Pick<
  TarEntry,
  | 'atime'
  | 'ctime'
  | 'gid'
  | 'groupName'
  | 'mode'
  | 'mtime'
  | 'rdev'
  | 'uid'
  | 'userName'
  | 'xattrs'
>;

const MAX_ID = 0xffff_ffff;
const none: ReadonlyMap<string, Uint8Array> = new Map();

/** What the header says about a member, PAX records having the last word. */
export function attributesOf(
  type: FileType | 'hardlink',
  found: Header,
  pax: ReadonlyMap<string, Uint8Array>,
): Attributes {
  return {
    mode: found.mode,
    uid: countOf(pax, 'uid', MAX_ID) ?? found.uid,
    gid: countOf(pax, 'gid', MAX_ID) ?? found.gid,
    userName: textOf(pax, 'uname') ?? found.userName,
    groupName: textOf(pax, 'gname') ?? found.groupName,
    ...times(found, pax),
    ...device(type, found, pax),
    xattrs: pax.size === 0 ? none : paxXattrs(pax),
  };
}

export function textOf(pax: ReadonlyMap<string, Uint8Array>, key: string): string | undefined {
  const value = pax.get(key);
  return value && decodeName(value);
}

export function countOf(
  pax: ReadonlyMap<string, Uint8Array>,
  key: string,
  limit: number = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const value = pax.get(key);
  return value && parseCount(value, limit);
}

function times(
  found: Header,
  pax: ReadonlyMap<string, Uint8Array>,
): Pick<TarEntry, 'mtime' | 'atime' | 'ctime'> {
  const mtime = timeOf(pax, 'mtime') ?? { seconds: found.mtime, nanoseconds: 0 };
  const atime = timeOf(pax, 'atime') ?? wholeSeconds(found.accessTime);
  const ctime = timeOf(pax, 'ctime') ?? wholeSeconds(found.changeTime);
  return { mtime, ...(atime && { atime }), ...(ctime && { ctime }) };
}

function timeOf(pax: ReadonlyMap<string, Uint8Array>, key: string): Timestamp | undefined {
  const value = pax.get(key);
  return value && parseTime(value);
}

function wholeSeconds(seconds: number): Timestamp | undefined {
  return seconds === 0 ? undefined : { seconds, nanoseconds: 0 };
}

function device(
  type: FileType | 'hardlink',
  found: Header,
  pax: ReadonlyMap<string, Uint8Array>,
): Pick<TarEntry, 'rdev'> {
  if (type !== 'character' && type !== 'block') return {};
  const major = countOf(pax, 'SCHILY.devmajor', MAX_ID) ?? found.major;
  const minor = countOf(pax, 'SCHILY.devminor', MAX_ID) ?? found.minor;
  return { rdev: { major, minor } };
}

export function linkTarget(type: FileType | 'hardlink', name: string, link: string): string {
  if (type === 'hardlink') return memberPath(link);
  if (type !== 'symlink') return '';
  if (link === '' || link.includes('\0')) {
    throw new TarError(
      'TAR_BAD_LINK',
      `Cannot take the tar member ${JSON.stringify(name)}: it links to ${JSON.stringify(link)}`,
    );
  }
  return link;
}
