import { AnoleError } from '@anole/bytes';
import type { ErofsCode } from '../errors.ts';

/** What is wrong beyond what the reader itself refuses. */
type CheckCode =
  | 'EROFS_CHECKSUM'
  | 'EROFS_DIGEST'
  | 'EROFS_DOTS'
  | 'EROFS_ENTRY_TYPE'
  | 'EROFS_INODE_COUNT'
  | 'EROFS_LINUX_REFUSES'
  | 'EROFS_LINK_COUNT'
  | 'EROFS_LZ4_DISTANCE'
  | 'EROFS_NAME_FILTER'
  | 'EROFS_NO_DIGESTS'
  | 'EROFS_OVERLAP'
  | 'EROFS_SHARED_BLOCKS'
  | 'EROFS_TRUNCATED'
  | 'EROFS_TWO_PARENTS'
  | 'EROFS_UNKNOWN_FIELD';

export type FindingCode = ErofsCode | CheckCode;

/** `error`: something cannot be read, or reads as what it is not. `warning`: all can be read. */
export type Severity = 'error' | 'warning';

/** One thing that is wrong with an image. Survives JSON. */
export interface Finding {
  readonly severity: Severity;
  readonly code: FindingCode;
  /** What was met, with the values. */
  readonly message: string;
  /** What follows from it for whoever uses the image. */
  readonly meaning: string;
  /** Byte of the image, or of its metabox, it is about; undefined where it is about no place. */
  readonly offset: number | undefined;
  readonly nid?: number;
  /** A name of the inode, from the root. */
  readonly path?: string;
}

interface Kind {
  readonly severity: Severity;
  readonly meaning: string;
}

const kinds: Readonly<Partial<Record<FindingCode, Kind>>> = {
  EROFS_BAD_DATA: error('the file cannot be read there: Linux gives an I/O error'),
  EROFS_BAD_DIRECTORY: error('names of the directory are lost or cannot be looked up'),
  EROFS_BAD_INODE: error('the file cannot be opened or read'),
  EROFS_BAD_SUPERBLOCK: error('Linux does not mount the image'),
  EROFS_BAD_XATTR: error('extended attributes of the file cannot be read'),
  EROFS_CHECKSUM: error(
    'the first block was changed after it was written; Linux does not mount it',
  ),
  EROFS_DIGEST: error(
    'Linux (inode_share) may show what another file with that digest holds in its place',
  ),
  EROFS_DOTS: error('programs that go up from the directory arrive elsewhere'),
  EROFS_ENTRY_TYPE: error('programs that trust the type in a listing are misled'),
  EROFS_INODE_COUNT: warning('df -i and the like show a wrong number'),
  EROFS_LINUX_REFUSES: error(
    'Linux and fsck.erofs give an I/O error there, this version reads it: unpack the image and make it anew',
  ),
  EROFS_LINK_COUNT: warning('hard links are not recognized when the tree is copied'),
  EROFS_LZ4_DISTANCE: error(
    'Linux keeps no more of what it decodes than the superblock says, and may show other bytes there',
  ),
  EROFS_NAME_FILTER: error('Linux does not find the attribute by its name'),
  EROFS_NO_DIGESTS: warning('what files hold was not compared with digests'),
  EROFS_NO_DEVICE: warning('what lies on that device was not checked: give it too'),
  EROFS_OUT_OF_RANGE: error('what lies there cannot be read: the image is cut off or damaged'),
  EROFS_OVERLAP: error('one of the two was overwritten by the other'),
  EROFS_SHARED_BLOCKS: error('one of the two files holds bytes of the other'),
  EROFS_TRUNCATED: error('the end of the image is missing'),
  EROFS_TWO_PARENTS: error('Linux refuses one of the names; programs may walk in circles'),
  EROFS_UNKNOWN_FIELD: warning('a newer or a strange tool made the image'),
  EROFS_UNSUPPORTED: error('this version cannot read it'),
};

function error(meaning: string): Kind {
  return { severity: 'error', meaning };
}

function warning(meaning: string): Kind {
  return { severity: 'warning', meaning };
}

/** What a finding is about. */
export interface Place {
  readonly offset?: number | undefined;
  readonly nid?: number;
  readonly path?: string;
}

/** Gathers findings: all are counted and handed on, the first `limit` are kept. */
export class Findings {
  readonly kept: Finding[] = [];
  errors = 0;
  warnings = 0;
  readonly #limit: number;
  readonly #onFinding: ((finding: Finding) => void) | undefined;

  constructor(limit: number, onFinding: ((finding: Finding) => void) | undefined) {
    this.#limit = limit;
    this.#onFinding = onFinding;
  }

  add(code: FindingCode, message: string, place: Place = {}): void {
    const { severity, meaning } = kinds[code] ?? error('the image is damaged');
    const finding = { severity, code, message, meaning, offset: undefined, ...place };
    if (severity === 'error') this.errors++;
    else this.warnings++;
    if (this.kept.length < this.#limit) this.kept.push(finding);
    this.#onFinding?.(finding);
  }

  /** Adds what the reader raised; anything that is not about the image goes on. */
  raised(thrown: unknown, place: Place = {}): void {
    if (!AnoleError.is(thrown) || !thrown.code.startsWith('EROFS_')) throw thrown;
    const offset = thrown.details['offset'];
    const known = typeof offset === 'number' ? { offset } : {};
    this.add(thrown.code as FindingCode, thrown.message, { ...place, ...known });
  }
}
