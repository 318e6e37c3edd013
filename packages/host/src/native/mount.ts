import { check, native } from './koffi.ts';

const nativeMount = native(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
);
const umount2 = native('int umount2(const char *target, int flags)');

/** Flags of mount(2). */
export const MountFlag = {
  readOnly: 1,
  noSetuid: 2,
  noDevices: 4,
} as const;

const MNT_DETACH = 2;

/**
 * Mounts a file system, as mount(2): an image file of EROFS directly, without the loop device that
 * mount(8) would put before it. Needs root.
 *
 * @param source for EROFS, the image's path
 * @param flags bits of {@link MountFlag}
 * @param options as after `-o`: `device=/var/blob,ro`
 * @throws HostError `HOST_NO_NATIVE`, `HOST_NOT_PERMITTED`, `HOST_NOT_FOUND`, `HOST_IO`
 */
export function mount(
  source: string,
  directory: string,
  type: string,
  flags = 0,
  options = '',
): void {
  check(
    nativeMount(source, directory, type, flags, options),
    `mount ${source} as ${type} on ${directory}`,
  );
}

/**
 * Unmounts. What is in use stays until it is not, where `lazy`; else that is `HOST_IO` (EBUSY).
 *
 * @throws HostError
 */
export function unmount(directory: string, { lazy = false } = {}): void {
  check(umount2(directory, lazy ? MNT_DETACH : 0), `unmount ${directory}`);
}
