import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { acquireLock, cacheDirectory } from '@anole/host';
import { LogFile } from '@anole/host/native';
import {
  type Address,
  type ExportOptions,
  Keeper,
  type MountKind,
  type MountReport,
  notesPath,
  type ServiceStatus,
  serveImages,
} from '@anole/nydus/service';
import { formatPlatform, parsePlatform } from '@anole/oci';
import type { PullPolicy } from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { keepHeapSmall } from '../heap.ts';
import { memoryOf } from '../run/arguments.ts';
import { table } from '../table.ts';
import { askService, ownCommand, serviceSocket } from './service-client.ts';
import { platformHere } from './session.ts';

interface MountFlags {
  readonly kind?: MountKind;
  readonly platform?: string;
  readonly pull?: PullPolicy;
  readonly suid?: boolean;
  readonly dev?: boolean;
}

export async function mountAction(
  { out, json }: CommandContext,
  image: string,
  directory: string,
  flags: MountFlags,
): Promise<number> {
  const body = { image, directory: resolve(directory), ...flags };
  const record = await askService<MountReport>('POST', '/v1/mounts', body, { start: true });
  out(json ? JSON.stringify(record, null, 2) : `${record.directory}  ${record.kind}`);
  return 0;
}

/** Whether something is mounted, by the notes of the keeper: who reads of it may be waiting for the next. */
function wasKilled(): boolean {
  return existsSync(notesPath(join(cacheDirectory(), 'blobs'), serviceSocket()));
}

export async function unmountAction(_context: CommandContext, directory: string): Promise<number> {
  const query = new URLSearchParams({ directory: resolve(directory) });
  await askService('DELETE', `/v1/mounts?${query}`, undefined, { start: wasKilled() });
  return 0;
}

export async function mountsAction({ out, json }: CommandContext): Promise<number> {
  const { mounts } = await askService<Pick<ServiceStatus, 'mounts'>>(
    'GET',
    '/v1/mounts',
    undefined,
    { start: wasKilled(), absent: { mounts: [] } },
  );
  if (json) out(JSON.stringify(mounts, null, 2));
  else {
    const rows = mounts.map(({ directory, kind, size, present, image }) => [
      directory,
      kind,
      size === 0 ? '-' : `${Math.round((100 * present) / size)} %`,
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
  readonly platform?: string;
  readonly nbd?: string;
  readonly http?: string;
  readonly passthrough?: boolean;
  readonly log?: string;
  readonly kept?: boolean;
}

export async function serveAction(
  context: CommandContext,
  images: readonly string[],
  flags: ServeFlags,
): Promise<number> {
  const exports = exportsOf(images, flags);
  const cache = resolve(flags.cache ?? join(cacheDirectory(), 'blobs'));
  const socket = resolve(flags.socket ?? serviceSocket());
  const file = flags.log === undefined ? undefined : LogFile.take(resolve(flags.log));
  const log = (event: Readonly<Record<string, unknown>>) => {
    const line = JSON.stringify({ time: new Date().toISOString(), ...event });
    if (file) file.write(line);
    else process.stderr.write(`${line}\n`);
  };
  // For months, and beside what it serves.
  keepHeapSmall();
  if (flags.kept) {
    // What is nobody's fault in one mount must not end the others.
    process.on('unhandledRejection', (error) => log({ event: 'fault', reason: String(error) }));
    // The keeper is asked to end things, also when a terminal tells both.
    process.on('SIGINT', () => {});
    process.on('SIGHUP', () => {});
    const quota = flags.quota === undefined ? {} : { quota: memoryOf(flags.quota) * 2 ** 20 };
    const platform = flags.platform ?? formatPlatform(platformHere());
    const { passthrough = false } = flags;
    const options = { socket, cache, platform, passthrough, ...quota };
    try {
      await serveImages({ ...options, ...(exports && { exports }), log });
    } catch (error) {
      log({ event: 'cannot begin', reason: String(error) });
      // Servers that have begun, and the keeper's link, would keep it going.
      process.exit(1);
    }
    return 0;
  }
  const { quota, platform, nbd, http } = flags;
  if (platform !== undefined) parsePlatform(platform);
  const given = Object.entries({
    socket,
    cache,
    quota,
    platform,
    nbd,
    http,
    log: file?.path,
  }).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
  if (flags.passthrough) given.push('--passthrough');
  const options = [...given, '--', ...images];
  await keep(context, { socket, cache, options, log });
  return 0;
}

/** Images by the names that clients use: `NAME=IMAGE`. */
function exportsOf(
  images: readonly string[],
  { nbd, http }: ServeFlags,
): ExportOptions | undefined {
  const isAnywhere = nbd !== undefined || http !== undefined;
  if (images.length > 0 && !isAnywhere) {
    throw usageError('Say where images are to be found: --nbd, --http', 'image serve');
  }
  if (!isAnywhere) return undefined;
  if (images.length === 0) throw usageError('Name an image to export', 'image serve');
  const named = new Map(
    images.map((each): [string, string] => {
      const [, name, image] = /^([\w.-]+)=(.+)$/.exec(each) ?? [];
      if (name !== undefined && image !== undefined) return [name, image];
      throw usageError(`Cannot read the export ${each}: it is NAME=IMAGE`, 'image serve');
    }),
  );
  return {
    images: named,
    ...(nbd !== undefined && { nbd: addressOf(nbd) }),
    ...(http !== undefined && { http: addressOf(http) }),
  };
}

/** A path of a Unix socket, `PORT` of this computer, or `HOST:PORT`. */
function addressOf(text: string): Address {
  if (text.includes('/')) return { path: resolve(text) };
  const [, host, port] = /^(?:(.+):)?(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw usageError(`Cannot listen at ${text}: it is no path, PORT or HOST:PORT`, 'image serve');
  }
  return { host: host?.replace(/^\[(.+)\]$/, '$1') ?? '127.0.0.1', port: Number(port) };
}

interface Keeping {
  readonly socket: string;
  readonly cache: string;
  /** Of the service. */
  readonly options: readonly string[];
  /** A line of JSON. */
  log(event: Readonly<Record<string, unknown>>): void;
}

async function keep(
  { signal }: CommandContext,
  { socket, cache, options, log }: Keeping,
): Promise<void> {
  await using _lock = await acquireLock(`${socket}.lock`, { patience: 0 });
  const keeper = new Keeper({
    command: ownCommand('image', 'serve', '--kept', ...options),
    cache,
    socket,
    onEvent: (event, details) => log({ event, ...details }),
  });
  const renew = () => keeper.renew();
  process.on('SIGHUP', renew);
  try {
    if (!(await keeper.run(signal))) return;
  } finally {
    process.off('SIGHUP', renew);
  }
  log({ event: 'begins anew' });
  process.execve?.(process.execPath, [
    process.argv0,
    ...process.execArgv,
    ...process.argv.slice(1),
  ]);
}
