import type { Mount } from '../api/types.ts';
import { ContainerdError } from '../errors.ts';
import type { SnapshotKind } from './snapshot.ts';

/** Directories of a snapshot, from which its mount is made. */
export interface Directories {
  /** What it stands on, the uppermost first. */
  readonly lowers: readonly string[];
  /** Its own files. */
  readonly upper: string;
  /** Of overlayfs, on the disk of `upper`. */
  readonly work: string;
}

/** Directories in one mount at most: what Linux takes (OVL_MAX_STACK). */
const MAX_LOWERS = 500;

/**
 * How a snapshot is mounted: as it is where there is nothing to lay over each other, else by overlayfs.
 *
 * @param options of overlayfs, which this kernel knows
 * @throws ContainerdError `CONTAINERD_TOO_LARGE`
 */
export function mountsOf(
  kind: Exclude<SnapshotKind, 'committed'>,
  { lowers, upper, work }: Directories,
  options: readonly string[],
): readonly Mount[] {
  if (lowers.length > MAX_LOWERS) {
    throw new ContainerdError(
      'CONTAINERD_TOO_LARGE',
      `Cannot mount ${lowers.length} layers: Linux takes ${MAX_LOWERS}`,
    );
  }
  if (kind === 'active') {
    if (lowers.length === 0) return [bind(upper, 'rw')];
    const own = [`workdir=${work}`, `upperdir=${upper}`];
    return [overlay([...options, ...own, `lowerdir=${lowers.join(':')}`])];
  }
  if (lowers.length <= 1) return [bind(lowers[0] ?? upper, 'ro')];
  return [overlay([...options, `lowerdir=${lowers.join(':')}`])];
}

function bind(source: string, access: 'ro' | 'rw'): Mount {
  return { type: 'bind', source, target: '', options: [access, 'rbind'] };
}

function overlay(options: readonly string[]): Mount {
  return { type: 'overlay', source: 'overlay', target: '', options };
}
