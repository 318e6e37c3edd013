import { SandboxError } from '../errors.ts';

export function damaged(what: string, cause?: unknown): SandboxError {
  return new SandboxError('SANDBOX_FILE_DAMAGED', `Cannot restore the sandbox: ${what}`, {
    ...(cause !== undefined && { cause }),
    hint: 'Save it again, or take another copy of the file',
  });
}

export function foreign(what: string, hint: string): SandboxError {
  return new SandboxError('SANDBOX_FILE_FOREIGN', `Cannot restore the sandbox: ${what}`, { hint });
}

/** @param what of the sandbox has that version */
export function otherVersion(what: string, version: number, known: number): SandboxError {
  return new SandboxError(
    'SANDBOX_FILE_VERSION',
    `Cannot restore the sandbox: its ${what} is of version ${version}, not ${known}`,
    { details: { version }, hint: 'Restore it with the version that wrote it' },
  );
}
