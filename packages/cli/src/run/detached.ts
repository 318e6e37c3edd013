import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { hasTransport, localTransportOf } from '@anole/oci/transports';
import type { PublishedPort } from '@anole/sandbox';
import type { CommandContext } from '../context.ts';
import { ask } from '../daemon/client.ts';
import type { PlainOptions, RestoreRequest, RunRequest } from '../daemon/messages.ts';
import { announcePorts } from './network.ts';

/** An image by a path that does not depend on where; others by their names. */
export function absoluteImage(image: string): string {
  const transport = localTransportOf(image);
  if (transport !== undefined) return `${transport}:${resolve(image.slice(transport.length + 1))}`;
  return existsSync(image) ? resolve(image) : image;
}

/** Where it is by a path, that is what is there, or is not. */
function absoluteVolume(host: string): string {
  const image = absoluteImage(host);
  return hasTransport(image) ? image : resolve(image);
}

type Pathful = Pick<PlainOptions, 'volumes' | 'keyring' | 'network'>;

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
  const image = absoluteImage(request.image);
  return await make(context, { verb: 'run', ...request, image, options: absolute(options) });
}

/** Has the daemon make a sandbox. Prints its name. */
export async function make(
  context: CommandContext,
  request: RunRequest | RestoreRequest,
): Promise<number> {
  const made = await ask<Made>(request, { context });
  context.endProgress();
  if (!context.json) announcePorts(made.ports, request.options.network?.publish, context);
  context.out(context.json ? JSON.stringify(made) : made.name);
  return 0;
}

/** The daemon is elsewhere: paths must not depend on where. */
export function absolute<T extends Pathful>({ volumes = [], keyring, network, ...options }: T) {
  const capture = network?.capture;
  return {
    ...options,
    volumes: volumes.map((volume) => ({ ...volume, host: absoluteVolume(volume.host) })),
    ...(keyring !== undefined && { keyring: resolve(keyring) }),
    ...(network && {
      network: { ...network, ...(capture !== undefined && { capture: resolve(capture) }) },
    }),
  };
}
