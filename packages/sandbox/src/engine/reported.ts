import { AnoleError } from '@anole/bytes';
import { type VfsCode, VfsError } from '@anole/vfs';
import { type SandboxCode, SandboxError } from '../errors.ts';
import type { ReportedError } from './messages.ts';

/** An error as it crosses to another thread. */
export function reported(error: unknown): ReportedError {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, stack } = error;
  const known = AnoleError.is(error) ? error : undefined;
  return {
    message,
    ...(stack !== undefined && { stack }),
    ...(known && { code: known.code, details: known.details }),
    ...(known?.hint !== undefined && { hint: known.hint }),
  };
}

/** The error that was reported, made one again. */
export function errorOf({ message, code, hint, details, stack }: ReportedError): AnoleError {
  const options = {
    ...(hint !== undefined && { hint }),
    ...(details !== undefined && { details }),
  };
  const error = code?.startsWith('VFS_')
    ? new VfsError(code as VfsCode, message, options)
    : new SandboxError((code ?? 'SANDBOX_ENGINE') as SandboxCode, message, options);
  if (stack !== undefined) error.stack = stack;
  return error;
}
