import type { DeviceNumber, FileType, Timestamp } from '../tree.ts';
import { linkTarget } from './attributes.ts';
import type { TarEntry, TarMember } from './entry.ts';
import { memberPath } from './paths.ts';
import { paxXattrs } from './pax.ts';

/** What a table of contents says about a member. */
export interface MemberFacts {
  readonly name: string;
  readonly type: FileType | 'hardlink';
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName?: string;
  readonly groupName?: string;
  readonly mtime: Timestamp;
  /** Bytes of a file. */
  readonly size: number;
  /** As the archive has it. */
  readonly link?: string;
  readonly rdev?: DeviceNumber;
  readonly pax?: ReadonlyMap<string, Uint8Array>;
  /** Default: those of `pax`. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  readonly headerOffset?: number;
  readonly dataOffset: number;
}

const noRecords: ReadonlyMap<string, Uint8Array> = new Map();

/**
 * A member as a table of contents of foreign origin describes it, checked as one of an archive is.
 * Sparse files are none.
 *
 * @throws TarError `TAR_BAD_NAME`, `TAR_BAD_LINK`
 */
export function tarMember(facts: MemberFacts): TarMember {
  const { name, type, mode, uid, gid, mtime, rdev, dataOffset } = facts;
  const pax = facts.pax ?? noRecords;
  const size = type === 'file' ? facts.size : 0;
  return {
    name,
    path: memberPath(name),
    type,
    mode,
    uid,
    gid,
    userName: facts.userName ?? '',
    groupName: facts.groupName ?? '',
    mtime,
    size,
    target: linkTarget(type, name, facts.link ?? ''),
    ...(rdev && { rdev }),
    xattrs: facts.xattrs ?? (pax.size === 0 ? noRecords : paxXattrs(pax)),
    pax,
    headerOffset: facts.headerOffset ?? dataOffset,
    dataOffset,
    storedSize: size,
  };
}

/** What stays of an entry when its archive has been read: nothing of it aliases the archive's chunks. */
export function memberOf(entry: TarEntry): TarMember {
  const { body: _, stored: __, storedBytes: ___, ...member } = entry;
  if (entry.pax.size === 0) return member;
  const pax = new Map([...entry.pax].map(([key, value]) => [key, new Uint8Array(value)]));
  return { ...member, pax, xattrs: paxXattrs(pax) };
}
