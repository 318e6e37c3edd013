import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type PackageCode =
  /** Not an ar archive, or one whose members do not add up. */
  | 'DEB_BAD_ARCHIVE'
  /** Compressed data that cannot be decompressed, or a compression dpkg does not know. */
  | 'DEB_BAD_COMPRESSION'
  /** `debian-binary` states a major version other than 2. */
  | 'DEB_BAD_VERSION'
  /** The control member lacks a field every package has, or its parts cannot be read. */
  | 'DEB_BAD_CONTROL'
  /** A member every package has is not there. */
  | 'DEB_NO_MEMBER'
  /** Larger, unpacked, than the limit. */
  | 'DEB_TOO_LARGE'
  /** The cached unpacked form does not fit its index. */
  | 'DEB_BAD_CACHE'
  /** The thread that unpacked it ended, or was ended. */
  | 'DEB_STOPPED';

/** Raised by what reads and unpacks package files. */
export class PackageError extends AnoleError {
  declare readonly code: PackageCode;
  constructor(code: PackageCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
