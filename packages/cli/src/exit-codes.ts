import { AnoleError } from '@anole/bytes';

/**
 * Exit codes of anole's own failures. `anole run` passes the command's code through and therefore
 * reports its own failures as 125, as container tools do.
 */
export const exitCodes = {
  failure: 1,
  usage: 2,
  timeout: 124,
  runFailure: 125,
  notExecutable: 126,
  notFound: 127,
  interrupted: 130,
} as const;

/** Codes whose exit code is not the command's general failure. */
const byCode: Readonly<Record<string, number>> = {
  CLI_USAGE: exitCodes.usage,
  EROFS_BAD_OPTION: exitCodes.usage,
  CLI_INTERRUPTED: exitCodes.interrupted,
  SANDBOX_TIMEOUT: exitCodes.timeout,
  SANDBOX_NOT_FOUND: exitCodes.notFound,
  SANDBOX_NOT_EXECUTABLE: exitCodes.notExecutable,
  SANDBOX_NO_DIRECTORY: exitCodes.notExecutable,
  SANDBOX_NO_USER: exitCodes.notExecutable,
};

/** @param failure what the command at hand reports for errors the table does not name */
export function exitCodeOf(error: unknown, failure: number = exitCodes.failure): number {
  return AnoleError.is(error) ? (byCode[error.code] ?? failure) : failure;
}
