import { join, resolve } from 'node:path';
import { acquireLock, cacheDirectory } from '@anole/host';
import {
  clearLeftovers,
  Keeper,
  type MountKind,
  type MountRecord,
  noteMounts,
  notesIn,
  type ServiceStatus,
  serveImages,
} from '@anole/nydus/service';
import { formatPlatform } from '@anole/oci';
import type { CommandContext } from '../context.ts';
import { memoryOf } from '../run/arguments.ts';
import { table } from '../table.ts';
import { askService, ownCommand, serviceSocket } from './service-client.ts';
import { platformHere } from './session.ts';

interface MountFlags {
  readonly kind?: MountKind;
  readonly platform?: string;
}

export async function mountAction(
  { out, json }: CommandContext,
  image: string,
  directory: string,
  flags: MountFlags,
): Promise<number> {
  const body = { image, directory: resolve(directory), ...flags };
  const record = await askService<MountRecord>('POST', '/v1/mounts', body, { start: true });
  out(json ? JSON.stringify(record, null, 2) : `${record.directory}  ${record.kind}`);
  return 0;
}

export async function unmountAction(_context: CommandContext, directory: string): Promise<number> {
  const query = new URLSearchParams({ directory: resolve(directory) });
  await askService('DELETE', `/v1/mounts?${query}`);
  return 0;
}

export async function mountsAction({ out, json }: CommandContext): Promise<number> {
  const { mounts } = await askService<ServiceStatus>('GET', '/v1/mounts');
  if (json) out(JSON.stringify(mounts, null, 2));
  else if (mounts.length > 0) {
    const rows = mounts.map(({ directory, kind, size, present, image }) => [
      directory,
      kind,
      `${Math.round((100 * present) / size)} %`,
      image.name,
    ]);
    out(table(['DIRECTORY', 'KIND', 'HERE', 'IMAGE'], rows));
  }
  return 0;
}

interface ServeFlags {
  readonly socket?: string;
  readonly cache?: string;
  readonly quota?: string;
  readonly kept?: boolean;
}

export async function serveAction(context: CommandContext, flags: ServeFlags): Promise<number> {
  const cache = resolve(flags.cache ?? join(cacheDirectory(), 'blobs'));
  const socket = resolve(flags.socket ?? serviceSocket());
  if (flags.kept) {
    // What is nobody's fault in one mount must not end the others.
    process.on('unhandledRejection', (error) => log({ event: 'fault', reason: String(error) }));
    // The keeper is asked to end things, also when a terminal tells both.
    process.on('SIGINT', () => {});
    const quota = flags.quota === undefined ? {} : { quota: memoryOf(flags.quota) * 2 ** 20 };
    await serveImages({ socket, cache, platform: formatPlatform(platformHere()), ...quota, log });
    return 0;
  }
  await keep(context, socket, cache, flags.quota);
  return 0;
}

async function keep(
  { signal }: CommandContext,
  socket: string,
  cache: string,
  quota: string | undefined,
): Promise<void> {
  await using _lock = await acquireLock(`${socket}.lock`, { patience: 0 });
  const notes = notesIn(cache);
  const left = await clearLeftovers(notes);
  if (left.length > 0) log({ event: 'cleared leftover mounts', mounts: left });
  const options = ['--socket', socket, '--cache', cache, ...(quota ? ['--quota', quota] : [])];
  const keeper = new Keeper({
    command: ownCommand('image', 'serve', '--kept', ...options),
    cache,
    onRestart: (reason) => log({ event: 'service ended, starting it again', reason }),
    onNoGroup: (error) => log({ event: 'no mounts by the kernel', reason: String(error) }),
    onMounts: (mounts) => void noteMounts(notes, mounts).catch(() => {}),
  });
  await keeper.run(signal);
  await noteMounts(notes, []);
}

/** One line of JSON. */
function log(event: Readonly<Record<string, unknown>>): void {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`);
}
