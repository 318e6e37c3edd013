import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { resolve as absolute } from 'node:path';
import { AnoleError } from '@anole/bytes';
import { preloadOptions, readPolicy } from '@anole/smc';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';

interface RunFlags {
  readonly policy?: string;
}

/** Ends as the program does. */
export async function runAction(
  { signal }: CommandContext,
  command: readonly string[],
  { policy }: RunFlags,
): Promise<number> {
  const [program = '', ...args] = command;
  // The programs only warn of a file that is damaged, at their first connection.
  if (policy !== undefined) readPolicy(policy);
  // The Node that runs this is new enough; the one on the path need not be.
  const file = program === 'node' ? process.execPath : program;
  const before = process.env['NODE_OPTIONS'];
  const env = {
    ...process.env,
    NODE_OPTIONS: [...(before ? [before] : []), ...preloadOptions()].join(' '),
    ...(policy !== undefined && { ANOLE_SMC_POLICY: absolute(policy) }),
  };
  const child = spawn(file, args, { stdio: 'inherit', env });
  const stop = () => child.kill('SIGTERM');
  signal.addEventListener('abort', stop);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, name) => resolve(code ?? 128 + constants.signals[name!]));
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AnoleError('CLI_NO_PROGRAM', `Cannot run ${program}: ${why}`, {
      cause,
      details: { exit: exitCodes.failure },
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
