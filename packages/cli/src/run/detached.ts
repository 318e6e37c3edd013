import { resolve } from 'node:path';
import type { CommandContext } from '../context.ts';
import { ask } from '../daemon/client.ts';
import type { PlainOptions, RunRequest } from '../daemon/messages.ts';

/** Has the daemon make a sandbox, and run its command there. Prints its name. */
export async function runDetached(
  context: CommandContext,
  { options, ...request }: Omit<RunRequest, 'verb'>,
): Promise<number> {
  const made = await ask<{ readonly id: string; readonly name: string }>(
    { verb: 'run', ...request, options: absolute(options) },
    { context },
  );
  context.endProgress();
  context.out(context.json ? JSON.stringify(made) : made.name);
  return 0;
}

/** The daemon is elsewhere: paths must not depend on where. */
function absolute({ volumes = [], keyring, ...options }: PlainOptions): PlainOptions {
  return {
    ...options,
    volumes: volumes.map((volume) => ({ ...volume, host: resolve(volume.host) })),
    ...(keyring !== undefined && { keyring: resolve(keyring) }),
  };
}
