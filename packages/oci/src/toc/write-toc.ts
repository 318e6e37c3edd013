import type { TarMember } from '@anole/vfs';
import { OciError } from '../errors.ts';
import { encodeJson } from '../manifest.ts';
import { writeTimestamp } from '../timestamp.ts';

/**
 * What a table of contents says of a member of the archive, or of a chunk of a file. What is 0 or empty is left out.
 * Source: stargz-snapshotter, docs/estargz.md; containers/storage, pkg/chunked/internal/minimal/compression.go.
 */
export interface TocEntry {
  readonly name: string;
  readonly type: string;
  readonly size?: number;
  readonly modtime?: string;
  readonly linkName?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly userName?: string;
  readonly groupName?: string;
  readonly devMajor?: number;
  readonly devMinor?: number;
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Of a file: of all its bytes. */
  digest?: string;
  /** Of what has data: where it is stored. Known once it has been written. */
  offset?: number;
  /** Of a file: where the last of its chunks ends. */
  endOffset?: number;
  chunkOffset?: number;
  chunkSize?: number;
  chunkDigest?: string;
}

const types: Readonly<Record<Exclude<TarMember['type'], 'socket'>, string>> = {
  file: 'reg',
  directory: 'dir',
  symlink: 'symlink',
  hardlink: 'hardlink',
  character: 'char',
  block: 'block',
  fifo: 'fifo',
};

/** @throws OciError `OCI_UNSUPPORTED` for a name that JSON cannot hold */
export function tocEntry(member: TarMember): TocEntry {
  const { name, path, type, target, mode, uid, gid, userName, groupName, rdev, xattrs } = member;
  for (const text of [name, target, ...xattrs.keys()]) {
    if (text.isWellFormed()) continue;
    throw new OciError(
      'OCI_UNSUPPORTED',
      `Cannot write a table of contents: ${JSON.stringify(path)} has a name that is no UTF-8`,
      { hint: 'EROFS and RAFS hold any name.' },
    );
  }
  const { seconds, nanoseconds } = member.mtime;
  return {
    name,
    type: types[type as keyof typeof types],
    ...(type === 'file' && member.size > 0 && { size: member.size }),
    ...((seconds !== 0 || nanoseconds !== 0) && { modtime: writeTimestamp(member.mtime) }),
    ...(target !== '' && { linkName: target }),
    ...(mode !== 0 && { mode }),
    ...(uid !== 0 && { uid }),
    ...(gid !== 0 && { gid }),
    ...(userName !== '' && { userName }),
    ...(groupName !== '' && { groupName }),
    ...(rdev && { devMajor: rdev.major, devMinor: rdev.minor }),
    ...(xattrs.size > 0 && { xattrs: base64Values(xattrs) }),
  };
}

export function encodeToc(entries: readonly TocEntry[]): Uint8Array {
  return encodeJson({ version: 1, entries });
}

function base64Values(xattrs: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  const entries = [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    entries.map(([name, value]) => [name, btoa(String.fromCharCode(...value))]),
  );
}
