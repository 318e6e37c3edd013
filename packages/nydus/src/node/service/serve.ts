import { chmod, rm } from 'node:fs/promises';
import { parsePlatform } from '@anole/oci';
import { ImageStore, Registries } from '@anole/oci/node';
import { findOnDemand } from '../on-demand/find.ts';
import { placeBlobs } from '../on-demand/place-blobs.ts';
import { type MountRequest, serviceApi } from './api.ts';
import { ExportedImages, type ExportOptions } from './exported-images.ts';
import { KeeperLink } from './keeper-link.ts';
import { inherited } from './keeper-messages.ts';
import { ImageService } from './service.ts';

export interface ServeOptions {
  /** Path of the Unix socket. */
  readonly socket: string;
  /** Directory of blobs. */
  readonly cache: string;
  readonly quota?: number;
  /** Of images whose index has several: `linux/amd64`. */
  readonly platform: string;
  /** Images that are to be read as disks. */
  readonly exports?: ExportOptions;
  /** A line about what happened. */
  log(event: Readonly<Record<string, unknown>>): void;
}

/**
 * The service's process, which a {@link Keeper} has started: serves until the keeper says otherwise.
 *
 * @throws HostError, OciError where it cannot begin
 */
export async function serveImages(options: ServeOptions): Promise<void> {
  const { log } = options;
  const { link, legacy, hasGroup } = await KeeperLink.open();
  using registries = await Registries.load();
  const store = new ImageStore();
  const around = { registries, store };
  const service = await ImageService.start(
    {
      cache: options.cache,
      ...(options.quota !== undefined && { quota: options.quota }),
      ...(hasGroup && { group: inherited.group }),
      blobs: ({ name }) => placeBlobs(name, around),
      keeper: link,
      onMounts: (mounts) => link.mounts(mounts),
      onRefused: (blob, { offset, length, pid }, error) =>
        log({ event: 'refused', blob: blob.id, offset, length, pid, reason: String(error) }),
    },
    legacy,
  );
  if (legacy.mounts.length > 0) log({ event: 'took over', mounts: service.mounts.length });
  const find = ({ image, platform = options.platform }: Omit<MountRequest, 'directory'>) =>
    findOnDemand(image, parsePlatform(platform), around);
  const server = serviceApi(service, { find });
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
  log({ event: 'ready', socket: options.socket, cache: options.cache });
  await new Promise<void>((resolve) => {
    link.onStop(resolve);
  });
  server.close();
  server.closeAllConnections();
  await exported?.[Symbol.asyncDispose]();
  const left = await service.close();
  if (left.length > 0) log({ event: 'left mounted, whole', mounts: left });
  await rm(options.socket, { force: true });
  await link.stopped();
}
