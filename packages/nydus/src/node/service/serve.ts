import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AnoleError } from '@anole/bytes';
import { parsePlatform } from '@anole/oci';
import {
  authFiles,
  findCredentials,
  ImageStore,
  KeptDocuments,
  parseLocation,
  Registries,
} from '@anole/oci/node';
import { findOnDemand } from '../on-demand/find.ts';
import { warmUp } from '../on-demand/open.ts';
import { placeBlobs } from '../on-demand/place-blobs.ts';
import { type MountRequest, serviceApi } from './api.ts';
import { BackEnds } from './back-ends.ts';
import { ExportedImages, type ExportOptions } from './exported-images.ts';
import { KeeperLink } from './keeper-link.ts';
import { inherited } from './keeper-messages.ts';
import { Repeats } from './repeats.ts';
import { ImageService } from './service.ts';
import { LiveSettings, type Settings } from './settings.ts';

export interface ServeOptions {
  /** Path of the Unix socket. */
  readonly socket: string;
  /** Directory of blobs. */
  readonly cache: string;
  readonly quota?: number;
  /** Of images whose index has several: `linux/amd64`. */
  readonly platform: string;
  /** Whether the kernel may read decoded files of new mounts through FUSE by itself. */
  readonly passthrough: boolean;
  /** Images that are to be read as disks. */
  readonly exports?: ExportOptions;
  /** A line about what happened. */
  log(event: Readonly<Record<string, unknown>>): void;
}

/**
 * The service's process, which a {@link Keeper} has started: serves until the keeper says otherwise.
 *
 * Where it is to make room for the next, it kills its process, and leaves all that is mounted.
 *
 * @throws HostError, OciError where it cannot begin
 */
export async function serveImages(options: ServeOptions): Promise<void> {
  const { log, quota } = options;
  const { link, legacy, hasGroup, settings: left } = await KeeperLink.open();
  using repeats = new Repeats(log);
  const backEnds = new BackEnds();
  const initial = left ?? { limits: quota === undefined ? {} : { quota }, logins: {} };
  const settings = new LiveSettings(initial, (changed) => {
    apply(changed);
    link.settings(changed);
  });
  using registries = await Registries.load({
    documents: new KeptDocuments(join(options.cache, 'documents')),
    credentials: async (host) =>
      settings.loginOf(host) ?? (await findCredentials(host, authFiles())),
    get retries() {
      return settings.limits.retries;
    },
    get stall() {
      return settings.limits.stall;
    },
  });
  const around = { registries, store: new ImageStore() };
  const service = await ImageService.start(
    {
      cache: options.cache,
      passthrough: options.passthrough,
      ...(hasGroup && { group: inherited.group }),
      blobs: ({ name }) => backEnds.blobs(backEndOf(name), placeBlobs(name, around)),
      keeper: link,
      pace: backEnds.pace,
      onMounts: (mounts) => link.mounts(mounts),
      onFault: (error) => log({ event: 'fault', reason: String(error) }),
      onOpenToOthers: (directory) => log({ event: 'others may enter the cache', directory }),
      onStranded: ({ directory, image }, error) =>
        log({ event: 'cannot take over yet', directory, image: image.name, reason: String(error) }),
      onDamaged: (place) =>
        repeats.tell(`damaged ${place.blob}`, { event: 'damaged in the cache', ...place }),
      onUnhealed: (place, error) =>
        repeats.tell(`unhealed ${place.blob} ${kindOf(error)}`, {
          event: 'not fetched again',
          ...place,
          reason: String(error),
        }),
      onGone: ({ directory, image }) =>
        log({ event: 'unmounted by somebody else', directory, image: image.name }),
      onRefused: ({ id: blob }, { offset, length, pid }, error) =>
        repeats.tell(`${blob} ${kindOf(error)}`, {
          event: 'refused',
          blob,
          offset,
          length,
          pid,
          reason: String(error),
        }),
      onFailure: ({ directory, image: { name: image } }, path, error) =>
        repeats.tell(`${directory} ${kindOf(error)}`, {
          event: 'refused',
          directory,
          image,
          path,
          reason: String(error),
        }),
    },
    legacy,
  );
  const apply = ({ limits }: Settings) => {
    backEnds.pace.rate = limits.rate;
    service.cache.quota = limits.quota ?? Number.POSITIVE_INFINITY;
  };
  apply(initial);
  if (legacy.mounts.length > 0) log({ event: 'took over', mounts: service.mounts.length });
  const find = ({ image, platform = options.platform, pull }: Omit<MountRequest, 'directory'>) =>
    findOnDemand(image, parsePlatform(platform), { ...around, ...(pull && { pull }) });
  const server = serviceApi(service, { find, settings, backEnds });
  await rm(options.socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.socket, resolve);
  });
  await chmod(options.socket, 0o600);
  const exported =
    options.exports &&
    (await ExportedImages.serve(options.exports, {
      open: async (image) => await service.open(await find({ image })),
      log,
    }));
  link.ready();
  // In vain where it fails: then opening an image raises it.
  warmUp().catch(() => undefined);
  log({ event: 'ready', socket: options.socket, cache: options.cache });
  const ending = await link.ending;
  server.close();
  server.closeAllConnections();
  await exported?.[Symbol.asyncDispose]();
  if (ending === 'yield') {
    await service.yield();
    log({ event: 'yields to the next service', mounts: service.mounts.length });
    // What FUSE asked for and has no answer yet is asked of the next: it must not fail here at the end.
    process.kill(process.pid, 'SIGKILL');
  }
  const stuck = await service.close();
  if (stuck.length > 0) log({ event: 'left mounted, whole', mounts: stuck });
  await rm(options.socket, { force: true });
  await link.stopped();
}

/** Errors of one kind differ in places only. */
function kindOf(error: unknown): string {
  return AnoleError.is(error) ? error.code : String(error);
}

/** What a back end is called: a registry's host, or the kind of place. */
function backEndOf(name: string): string {
  const location = parseLocation(name);
  if (location.kind !== 'registry') return location.kind;
  return 'host' in location.reference ? location.reference.host : 'registry';
}
