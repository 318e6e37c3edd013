import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { hasTransport } from '@anole/oci/transports';
import { type ImageSource, isImageVolume, type VolumeSource } from './engine/messages.ts';
import { SandboxError } from './errors.ts';
import { imageAt } from './image.ts';
import type { Volume } from './options.ts';
import { findImage, type PrepareOptions } from './prepare.ts';

/**
 * What volumes are of: directories, or images, which are made or found.
 *
 * @throws SandboxError `SANDBOX_BAD_VOLUME`, `SANDBOX_BAD_IMAGE`; for container images OciError …
 */
export async function volumeSources(
  volumes: readonly Volume[] = [],
  options: PrepareOptions = {},
): Promise<readonly VolumeSource[]> {
  for (const volume of volumes) checkPlace(volume);
  return await Promise.all(volumes.map((volume) => volumeSource(volume, options)));
}

/** Whether the guest may write into it. */
export function writes(volume: VolumeSource): boolean {
  return !isImageVolume(volume) && !volume.readOnly;
}

export function badVolume(message: string, hint?: string): SandboxError {
  return new SandboxError('SANDBOX_BAD_VOLUME', message, hint === undefined ? {} : { hint });
}

async function volumeSource(
  { host, guest: path, readOnly }: Volume,
  options: PrepareOptions,
): Promise<VolumeSource> {
  const image = await imageOf(host, options);
  if (image === undefined) return { path, directory: resolve(host), readOnly: readOnly ?? false };
  if (readOnly !== false) return { path, name: host, image };
  throw badVolume(
    `Cannot offer ${host} at ${path} to be written: it is an image`,
    'Have it only read, or unpack it into a directory',
  );
}

/** Undefined where it is a directory, or nothing. */
async function imageOf(host: string, options: PrepareOptions): Promise<ImageSource | undefined> {
  if (!hasTransport(host)) {
    const isFile = await stat(host).then(
      (found) => found.isFile(),
      () => false,
    );
    if (!isFile) return undefined;
  }
  const found = hasTransport(host) ? (await findImage(host, options)).root : await imageAt(host);
  return found.kind === 'directory' ? undefined : found;
}

function checkPlace({ host, guest }: Volume): void {
  if (guest.startsWith('/') && guest !== '/' && !guest.includes('\0')) return;
  throw badVolume(
    `Cannot offer ${host} at ${guest || 'no path'}`,
    'Give an absolute path of the guest, other than /',
  );
}
