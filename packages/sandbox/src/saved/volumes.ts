import { statSync } from 'node:fs';
import {
  type DirectoryVolume,
  type ImageVolume,
  isImageVolume,
  type VolumeSource,
} from '../engine/messages.ts';
import type { RestoreOptions } from '../options.ts';
import { badVolume, volumeSources } from '../volumes.ts';
import type { Description, SavedImage, SavedVolume } from './description.ts';
import { foreign } from './errors.ts';
import { fingerprintOf } from './fingerprint.ts';

/**
 * A volume for each that the guest has mounted: by its path there.
 *
 * @throws SandboxError `SANDBOX_BAD_VOLUME`, `SANDBOX_FILE_FOREIGN` where an image is another one
 */
export async function volumesFor(
  about: Description,
  options: RestoreOptions,
): Promise<VolumeSource[]> {
  const given = await volumeSources(options.volumes, options);
  const known = new Set(about.volumes.map(({ path }) => path));
  const stranger = given.find(({ path }) => !known.has(path));
  if (stranger !== undefined) {
    throw badVolume(`Cannot offer ${nameOf(stranger)} at ${stranger.path}: it had no volume there`);
  }
  const volumes: VolumeSource[] = [];
  for (const saved of about.volumes) {
    const own = given.find(({ path }) => path === saved.path);
    const volume = own ?? (options.trust ? await trusted(saved, options) : undefined);
    if (volume === undefined) {
      throw badVolume(
        `Cannot restore the sandbox: it had the volume ${nameOf(saved)} at ${saved.path}`,
        `Give one (-v HOST:${saved.path}), or trust the file (--trust)`,
      );
    }
    volumes.push(inPlaceOf(saved, volume));
  }
  return volumes;
}

/** What is in a registry is looked up by its name: a file says where, but not what is there. */
async function trusted(saved: SavedVolume, options: RestoreOptions): Promise<VolumeSource> {
  if (!isImageVolume(saved)) return saved;
  const { path, name, image } = saved;
  if (image.kind !== 'on-demand') return { path, name, image };
  const [found] = await volumeSources([{ host: name, guest: path }], options);
  return found!;
}

/** What stands in for a saved volume must be of its kind, and an image the very same. */
function inPlaceOf(saved: SavedVolume, volume: VolumeSource): VolumeSource {
  if (isImageVolume(saved)) {
    if (isImageVolume(volume)) return sameImage(saved, volume);
    throw otherKind(saved, volume);
  }
  if (isImageVolume(volume)) throw otherKind(saved, volume);
  checkDirectory(volume);
  // What was mounted for reading only stays so.
  return { ...volume, readOnly: volume.readOnly || saved.readOnly };
}

function sameImage({ path, fingerprint }: SavedImage, volume: ImageVolume): ImageVolume {
  if (fingerprintOf(volume.image) === fingerprint) return volume;
  throw foreign(
    `the image ${volume.name} at ${path} is not the one that it was made with`,
    `Give the image it was made with (-v IMAGE:${path})`,
  );
}

function otherKind(saved: SavedVolume, volume: VolumeSource): Error {
  const [was, is] = isImageVolume(saved) ? ['an image', 'none'] : ['a directory', 'an image'];
  return badVolume(
    `Cannot offer ${nameOf(volume)} at ${saved.path}: it had ${was} there, and that is ${is}`,
  );
}

function checkDirectory({ directory, path }: DirectoryVolume): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return;
  throw badVolume(`Cannot offer ${directory} at ${path}: it is no directory`);
}

function nameOf(volume: VolumeSource): string {
  return isImageVolume(volume) ? volume.name : volume.directory;
}
