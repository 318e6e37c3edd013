import { AnoleError } from '@anole/bytes';

/** An answer that is an error of the protocol: with a status of HTTP and a code of Connect. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const notFound = (message: string) => new ApiError(404, 'not_found', message);
export const badRequest = (message: string) => new ApiError(400, 'invalid_argument', message);
export const unauthenticated = () => new ApiError(401, 'unauthenticated', 'no valid key');

const byCode: Readonly<Record<string, readonly [number, string]>> = {
  VFS_NOT_FOUND: [404, 'not_found'],
  VFS_NOT_DIRECTORY: [400, 'invalid_argument'],
  VFS_IS_DIRECTORY: [400, 'invalid_argument'],
  VFS_NOT_FILE: [400, 'invalid_argument'],
  VFS_EXISTS: [409, 'already_exists'],
  VFS_INVALID: [400, 'invalid_argument'],
  VFS_LOOP: [400, 'invalid_argument'],
  VFS_CROSS_DEVICE: [400, 'invalid_argument'],
  VFS_NOT_PERMITTED: [403, 'permission_denied'],
  VFS_READ_ONLY: [403, 'permission_denied'],
  VFS_NO_SPACE: [507, 'resource_exhausted'],
  VFS_TOO_LARGE: [507, 'resource_exhausted'],
  SANDBOX_NO_USER: [401, 'unauthenticated'],
  SANDBOX_NO_DIRECTORY: [400, 'invalid_argument'],
  SANDBOX_NOT_FOUND: [404, 'not_found'],
  SANDBOX_NOT_EXECUTABLE: [400, 'invalid_argument'],
  SANDBOX_BAD_OPTION: [400, 'invalid_argument'],
  SANDBOX_BAD_IMAGE: [404, 'not_found'],
  SANDBOX_RESOURCES: [429, 'resource_exhausted'],
  SANDBOX_PAUSED: [502, 'unavailable'],
  SANDBOX_CLOSED: [502, 'unavailable'],
  SANDBOX_TIMEOUT: [408, 'deadline_exceeded'],
};

export function apiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const [status, code] = (AnoleError.is(error) && byCode[error.code]) || [500, 'internal'];
  return new ApiError(status, code, message);
}
