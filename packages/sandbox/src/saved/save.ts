import type { CallOptions } from '@anole/bytes';
import {
  isImageVolume,
  type MachineOrder,
  type SandboxFork,
  type VolumeSource,
} from '../engine/messages.ts';
import type { About, Description, SavedVolume } from './description.ts';
import { fingerprint } from './fingerprint.ts';
import { writeSaved } from './write.ts';

/** A machine that runs. */
interface Running {
  readonly order: MachineOrder;
  /** Takes it as it is. */
  readonly take: () => Promise<SandboxFork>;
}

/** Saves a machine that runs, and what is said of it. */
export async function saveSandbox(
  path: string,
  about: () => About,
  { order, take }: Running,
  options: Pick<CallOptions, 'signal'>,
): Promise<void> {
  const fork = await take();
  const { root, volumes, memoryMiB, cpus, terminals, maxWritten, network } = order;
  const description: Description = {
    ...about(),
    root,
    fingerprint: fingerprint(root),
    memoryMiB,
    cpus,
    terminals,
    maxWritten,
    volumes: volumes.map(savedVolume),
    ...(network && {
      network: { policy: network.policy, publish: network.publish, dns: network.dns },
    }),
  };
  await writeSaved(path, description, fork, options);
}

function savedVolume(volume: VolumeSource): SavedVolume {
  return isImageVolume(volume) ? { ...volume, fingerprint: fingerprint(volume.image) } : volume;
}
