import { AnoleError, type ErrorOptions } from '@anole/bytes';
import { VfsError } from '../errors.ts';

export type TarCode =
  /** A body was read after its reader had gone on to the next entry. */
  | 'TAR_BODY_GONE'
  | 'TAR_BAD_CHECKSUM'
  /** A link without target, or a hard link to a name that is not there. */
  | 'TAR_BAD_LINK'
  /** A name that climbs out (`..`), is empty or holds NUL. */
  | 'TAR_BAD_NAME'
  | 'TAR_BAD_NUMBER'
  | 'TAR_BAD_PAX'
  | 'TAR_BAD_SPARSE'
  /** Something a tar cannot hold was to be written: a socket, a name with NUL. */
  | 'TAR_CANNOT_HOLD'
  /** Metadata beyond the limit of the reader. */
  | 'TAR_TOO_LARGE'
  | 'TAR_TRUNCATED'
  /** An entry type that is not handled: multi-volume, names of old GNU dumps. */
  | 'TAR_UNSUPPORTED';

/** Raised by the tar reader and writer. */
export class TarError extends AnoleError {
  declare readonly code: TarCode;
  constructor(code: TarCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/**
 * The error that a member met, with where that begins, the headers included that announce it. Others, and those that
 * say where they are, as they were.
 */
export function atMember(error: unknown, position: number): unknown {
  if (!(error instanceof TarError || error instanceof VfsError)) return error;
  if (error.details['position'] !== undefined) return error;
  const { cause, hint } = error;
  const message = `${error.message} (the member at byte ${position})`;
  const options = {
    details: { ...error.details, position },
    cause,
    ...(hint !== undefined && { hint }),
  };
  return error instanceof TarError
    ? new TarError(error.code, message, options)
    : new VfsError(error.code, message, options);
}
