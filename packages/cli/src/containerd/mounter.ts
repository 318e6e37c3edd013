import type { ImageMounter } from '@anole/containerd';
import type { ServiceStatus } from '@anole/nydus/service';
import { askService } from '../image/service-client.ts';

/** The service of images at a socket, or this user's, which is started where it is missing. */
export function mounterAt(socket: string | undefined): ImageMounter {
  const at = socket === undefined ? {} : { socket };
  return {
    async mounted() {
      const status = await askService<ServiceStatus>('GET', '/v1/mounts', undefined, {
        ...at,
        start: true,
      });
      return status.mounts.map(({ directory }) => directory);
    },
    async usage() {
      const absent = { mounts: [] };
      const asked = askService<ServiceStatus>('GET', '/v1/mounts', undefined, { ...at, absent });
      // What it takes is asked for every few seconds, and is no reason to fail.
      const { mounts } = await asked.catch(() => absent);
      // A service that began before this program says nothing of inodes.
      return new Map(
        mounts.map(({ directory, present, inodes = 0 }) => [directory, { size: present, inodes }]),
      );
    },
    async mount(image, directory) {
      // Containers run programs of root, and their own configuration bounds them.
      const wish = { image, directory, suid: true, dev: true };
      await askService('POST', '/v1/mounts', wish, { ...at, start: true });
    },
    async unmount(directory) {
      await askService('DELETE', `/v1/mounts?${new URLSearchParams({ directory })}`, undefined, at);
    },
  };
}
