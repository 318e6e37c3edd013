import { existsSync } from 'node:fs';

/**
 * Options of overlayfs for snapshots. `index=off`: layers are lower directories of several mounts, which an
 * index of one of them forbids.
 */
export function overlayOptions(): readonly string[] {
  return existsSync('/sys/module/overlay/parameters/index') ? ['index=off'] : [];
}
