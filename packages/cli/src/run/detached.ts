import { resolve } from 'node:path';
import type { PublishedPort } from '@anole/sandbox';
import type { CommandContext } from '../context.ts';
import { ask } from '../daemon/client.ts';
import type { PlainOptions, RunRequest } from '../daemon/messages.ts';
import { announcePorts } from './network.ts';

interface Made {
  readonly id: string;
  readonly name: string;
  readonly ports: readonly PublishedPort[];
}

/** Has the daemon make a sandbox, and run its command there. Prints its name. */
export async function runDetached(
  context: CommandContext,
  { options, ...request }: Omit<RunRequest, 'verb'>,
): Promise<number> {
  const made = await ask<Made>(
    { verb: 'run', ...request, options: absolute(options) },
    { context },
  );
  context.endProgress();
  if (!context.json) announcePorts(made.ports, options.network?.publish, context);
  context.out(context.json ? JSON.stringify(made) : made.name);
  return 0;
}

/** The daemon is elsewhere: paths must not depend on where. */
function absolute({ volumes = [], keyring, network, ...options }: PlainOptions): PlainOptions {
  const capture = network?.capture;
  return {
    ...options,
    volumes: volumes.map((volume) => ({ ...volume, host: resolve(volume.host) })),
    ...(keyring !== undefined && { keyring: resolve(keyring) }),
    ...(network && {
      network: { ...network, ...(capture !== undefined && { capture: resolve(capture) }) },
    }),
  };
}
