import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type ArchiveCode =
  /** Control data that does not follow deb822. */
  | 'ARCHIVE_BAD_CONTROL'
  /** A dependency field, version or architecture that cannot be parsed. */
  | 'ARCHIVE_BAD_DEPENDENCY'
  | 'ARCHIVE_BAD_VERSION'
  /** apt's configuration, or the mirror given, cannot be used. */
  | 'ARCHIVE_BAD_MIRROR'
  | 'ARCHIVE_NO_MIRROR'
  /** No usable public key of the archive. */
  | 'ARCHIVE_NO_KEYRING'
  | 'ARCHIVE_BAD_KEYRING'
  /** InRelease is not a clear-signed message. */
  | 'ARCHIVE_NOT_SIGNED'
  | 'ARCHIVE_BAD_SIGNATURE'
  | 'ARCHIVE_UNKNOWN_KEY'
  | 'ARCHIVE_EXPIRED_KEY'
  | 'ARCHIVE_EXPIRED_SIGNATURE'
  | 'ARCHIVE_REVOKED_KEY'
  /** Signed with SHA-1, MD5 or a key that is too short. */
  | 'ARCHIVE_WEAK_SIGNATURE'
  | 'ARCHIVE_BAD_RELEASE'
  /** Past `Valid-Until`. */
  | 'ARCHIVE_EXPIRED_RELEASE'
  /** `Date` lies in the future. */
  | 'ARCHIVE_FUTURE_RELEASE'
  /** Another suite's Release file. */
  | 'ARCHIVE_WRONG_SUITE'
  /** The suite has no such architecture or component. */
  | 'ARCHIVE_NO_INDEX'
  | 'ARCHIVE_NOT_FOUND'
  /** The mirror does not answer, stalls or answers with an error of its own. */
  | 'ARCHIVE_UNREACHABLE'
  | 'ARCHIVE_WRONG_HASH'
  | 'ARCHIVE_BAD_COMPRESSION'
  /** Offline, and the cache does not hold it. */
  | 'ARCHIVE_OFFLINE'
  | 'ARCHIVE_TOO_LARGE';

/** Raised by what finds, verifies and downloads a package archive. */
export class ArchiveError extends AnoleError {
  declare readonly code: ArchiveCode;
  constructor(code: ArchiveCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
