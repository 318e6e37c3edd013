import type { FileType } from '../tree.ts';
import { TarError } from './errors.ts';
import { checksumMatches, countField, numberField, textField } from './fields.ts';
import { BLOCK, gnuHeader, header, starHeader, typeFlag } from './layout.ts';

/** A header block, read on its own: PAX records may still overrule what it says. */
export interface Header {
  readonly flag: number;
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly link: string;
  readonly userName: string;
  readonly groupName: string;
  readonly major: number;
  readonly minor: number;
  /** Seconds, as GNU tar keeps them for incremental archives; 0 where there is none. */
  readonly accessTime: number;
  readonly changeTime: number;
}

const MAX_ID = 0xffff_ffff;

export function isZeroBlock(block: Uint8Array): boolean {
  for (let at = 0; at < BLOCK; at++) if (block[at] !== 0) return false;
  return true;
}

/**
 * @param position of the block in the archive, for messages
 * @throws TarError `TAR_BAD_CHECKSUM`, `TAR_BAD_NUMBER`
 */
export function parseHeader(block: Uint8Array, position: number): Header {
  if (!checksumMatches(block)) {
    throw new TarError(
      'TAR_BAD_CHECKSUM',
      `Cannot read the tar header at byte ${position}: its checksum is wrong`,
      { details: { position }, hint: 'The file is damaged, or no tar archive.' },
    );
  }
  const magic = textField(block, header.magic);
  const posix = magic === 'ustar';
  const extended = posix || magic.startsWith('ustar ');
  const gnu = extended && !posix;
  return {
    flag: block[header.type[0]]!,
    name: fullName(block, posix),
    mode: countField(block, header.mode, Number.MAX_SAFE_INTEGER) % 0o10000,
    uid: countField(block, header.uid, MAX_ID),
    gid: countField(block, header.gid, MAX_ID),
    size: countField(block, header.size, Number.MAX_SAFE_INTEGER),
    mtime: numberField(block, header.mtime),
    link: textField(block, header.link),
    userName: extended ? textField(block, header.userName) : '',
    groupName: extended ? textField(block, header.groupName) : '',
    major: extended ? countField(block, header.major, MAX_ID) : 0,
    minor: extended ? countField(block, header.minor, MAX_ID) : 0,
    accessTime: gnu ? numberField(block, gnuHeader.accessTime) : 0,
    changeTime: gnu ? numberField(block, gnuHeader.changeTime) : 0,
  };
}

function fullName(block: Uint8Array, posix: boolean): string {
  const name = textField(block, header.name);
  if (!posix) return name;
  const star = textField(block, starHeader.magic) === 'tar';
  const prefix = textField(block, star ? starHeader.prefix : header.prefix);
  return prefix === '' ? name : `${prefix}/${name}`;
}

const types: ReadonlyMap<number, FileType | 'hardlink'> = new Map([
  [typeFlag.oldFile, 'file'],
  [typeFlag.file, 'file'],
  [typeFlag.contiguous, 'file'],
  [typeFlag.gnuSparse, 'file'],
  [typeFlag.hardLink, 'hardlink'],
  [typeFlag.symlink, 'symlink'],
  [typeFlag.character, 'character'],
  [typeFlag.block, 'block'],
  [typeFlag.directory, 'directory'],
  [typeFlag.gnuDumpDirectory, 'directory'],
  [typeFlag.fifo, 'fifo'],
]);

/** Members that say nothing about a file: passed over with their bodies. */
export const ignoredFlags: ReadonlySet<number> = new Set([
  typeFlag.gnuVolumeLabel,
  typeFlag.solarisAcl,
  typeFlag.starInode,
]);

/** @throws TarError `TAR_UNSUPPORTED` */
export function memberType(flag: number, name: string): FileType | 'hardlink' {
  const type = types.get(flag);
  if (type === undefined) {
    const shown = flag > 0x20 && flag < 0x7f ? `"${String.fromCharCode(flag)}"` : `byte ${flag}`;
    throw new TarError(
      'TAR_UNSUPPORTED',
      `Cannot read the tar member ${JSON.stringify(name.slice(0, 200))}: its type is ${shown}`,
      { details: { flag } },
    );
  }
  // Archives older than POSIX mark directories by the slash alone.
  return type === 'file' && name.endsWith('/') ? 'directory' : type;
}

/** True where the header's size counts bytes that follow: for the others it is only told. */
export function hasBody(flag: number, type: FileType | 'hardlink'): boolean {
  return type === 'file' || flag === typeFlag.gnuDumpDirectory;
}
