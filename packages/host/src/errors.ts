import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type HostCode =
  | 'HOST_EXISTS'
  | 'HOST_IO'
  /** Another process holds the lock, and the caller did not want to wait longer. */
  | 'HOST_LOCKED'
  | 'HOST_NOT_DIRECTORY'
  /** A directory, a device or the like, where a regular file is needed. */
  | 'HOST_NOT_FILE'
  | 'HOST_NOT_FOUND'
  | 'HOST_NOT_PERMITTED'
  /** System calls that Node lacks cannot be made here: koffi is not installed. */
  | 'HOST_NO_NATIVE'
  /** The disk, or the user's quota, is full. */
  | 'HOST_NO_SPACE'
  /** A program that the call needs is not installed. */
  | 'HOST_NO_TOOL'
  | 'HOST_READ_ONLY'
  /** Content that is not what its hash or size promised. */
  | 'HOST_WRONG_CONTENT';

/** Raised by what touches the machine itself. */
export class HostError extends AnoleError {
  declare readonly code: HostCode;
  constructor(code: HostCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

const codes: Readonly<Record<string, HostCode>> = {
  EACCES: 'HOST_NOT_PERMITTED',
  EDQUOT: 'HOST_NO_SPACE',
  EEXIST: 'HOST_EXISTS',
  ENOENT: 'HOST_NOT_FOUND',
  ENOSPC: 'HOST_NO_SPACE',
  ENOTDIR: 'HOST_NOT_DIRECTORY',
  EPERM: 'HOST_NOT_PERMITTED',
  EROFS: 'HOST_READ_ONLY',
};

const hints: Partial<Record<HostCode, string>> = {
  HOST_NOT_FOUND: 'Check the path for a mistake; a relative one starts where the command runs.',
  HOST_NO_SPACE:
    'Free some space on that disk, or let it be written to another: the cache by ANOLE_CACHE.',
  HOST_NOT_PERMITTED: 'Check who owns the directory and its permissions.',
};

/** The same for what has no code of its own. */
const systemHints: Readonly<Record<string, string>> = {
  ENAMETOOLONG: 'Linux takes paths of at most 4095 bytes, and names of 255.',
};

/** Node's code of a failed system call (`ENOENT`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * The coded error for a failed system call; `action` completes "Cannot ". What is none (an
 * AnoleError, an abort, a fault of the program) comes back as it is.
 */
export function hostError(error: unknown, action: string): Error {
  if (AnoleError.is(error)) return error;
  if (error instanceof Error && error.name === 'AbortError') return error;
  const system = systemCode(error);
  if (error instanceof Error && system === undefined) return error;
  const code = codes[system ?? ''] ?? 'HOST_IO';
  const why = error instanceof Error ? error.message : String(error);
  const hint = hints[code] ?? systemHints[system ?? ''];
  return new HostError(code, `Cannot ${action}: ${why}`, {
    cause: error,
    details: system === undefined ? {} : { system },
    ...(hint === undefined ? {} : { hint }),
  });
}
