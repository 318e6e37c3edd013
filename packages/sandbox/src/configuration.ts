import { randomBytes } from 'node:crypto';
import { configurePayload } from './client/configure-payload.ts';
import { isImageVolume, type VolumeSource } from './engine/messages.ts';
import { volumeSlots } from './engine/shape.ts';
import type { Traits } from './order.ts';

/** What makes a guest a new sandbox's own: see `MachineOrder.configuration`. */
export function configurationOf(
  { hostname, maxProcesses }: Pick<Traits, 'hostname' | 'maxProcesses'>,
  volumes: readonly VolumeSource[],
): Uint8Array<ArrayBuffer> {
  const tags = new Map(volumeSlots(volumes).map(({ volume, tag }) => [volume, tag]));
  // In their order: one may be within another.
  const mounts = volumes.map((volume) => ({
    tag: tags.get(volume)!,
    path: volume.path,
    readOnly: isImageVolume(volume) || volume.readOnly,
  }));
  return configurePayload({ hostname, entropy: randomBytes(32), volumes: mounts, maxProcesses });
}

/** The same for the copy of a sandbox, whose volumes are mounted. */
export function configurationOfCopy(hostname: string): Uint8Array<ArrayBuffer> {
  const machineId = randomBytes(16).toString('hex');
  const entropy = randomBytes(32);
  return configurePayload({ hostname, entropy, volumes: [], fork: { machineId } });
}
