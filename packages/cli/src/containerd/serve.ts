import { chmod, mkdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { grpcServer, RegistryImages, Snapshotter, snapshotsService } from '@anole/containerd';
import { ImageStore, Registries } from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { platformHere } from '../image/session.ts';
import { mounterAt } from './mounter.ts';

/** Milliseconds until the service of images is asked again. */
const AGAIN = 2000;

interface ServeFlags {
  readonly socket: string;
  readonly root: string;
  readonly images?: string;
}

/** Serves until it is told to end. Mounts and containers go on without it. */
export async function serveAction({ signal }: CommandContext, flags: ServeFlags): Promise<number> {
  const socket = resolve(flags.socket);
  const root = resolve(flags.root);
  await mkdir(root, { recursive: true, mode: 0o700 });
  await mkdir(dirname(socket), { recursive: true, mode: 0o711 });
  using registries = await Registries.load();
  const images = await RegistryImages.open({
    registries,
    store: new ImageStore(),
    mounter: mounterAt(flags.images && resolve(flags.images)),
    directory: join(root, 'images'),
    platform: platformHere(),
  });
  await using snapshotter = await Snapshotter.open(root, { images, onEvent: log });
  const server = grpcServer(snapshotsService(snapshotter), {
    onFault: (method, error) => log({ event: 'fault', method, reason: String(error) }),
  });
  const given = socketOfSystemd();
  if (given === undefined) await rm(socket, { force: true });
  await new Promise<void>((done, reject) => {
    server.once('error', reject);
    server.listen(given === undefined ? { path: socket } : { fd: given }, done);
  });
  if (given === undefined) await chmod(socket, 0o600);
  log({ event: 'ready', socket, root });
  const cleaning = cleanUp(snapshotter, signal);
  await new Promise<void>((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done());
  });
  server.close();
  await cleaning;
  if (given === undefined) await rm(socket, { force: true });
  return 0;
}

/** Unmounts what no snapshot wants any more, as soon as the service of images is there to do it. */
async function cleanUp(snapshotter: Snapshotter, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    try {
      return await snapshotter.cleanup();
    } catch (error) {
      if (turn === 0) log({ event: 'no cleanup yet', reason: String(error) });
    }
    await sleep(AGAIN, undefined, { signal }).catch(() => {});
  }
}

/**
 * The descriptor of a socket that systemd listens on (sd_listen_fds(3)): containerd's calls wait there while
 * one process follows another.
 */
function socketOfSystemd(): number | undefined {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = process.env;
  return pid === String(process.pid) && count === '1' ? 3 : undefined;
}

/** One line of JSON. */
function log(event: Readonly<Record<string, unknown>>): void {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`);
}
