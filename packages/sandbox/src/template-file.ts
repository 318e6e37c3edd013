import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from '@anole/host';
import type { SpawnRequest } from './agent/wire.ts';
import { machineStamp } from './engine/machine-stamp.ts';
import type { BootFiles, TemplateFile, VolumeSource } from './engine/messages.ts';
import { terminalSlots, volumeSlots } from './engine/shape.ts';
import { kernelCommandLine } from './guest/boot.ts';

interface Shape {
  readonly memoryMiB: number;
  readonly cpus: number;
  readonly terminals: number;
  readonly volumes: readonly VolumeSource[];
}

/**
 * Where the template of such a machine is, or will be: `templates/<identity>.snapshot` in the cache.
 * Files of the cache have names by their content; others are told apart by size and time, too.
 *
 * @param rehearsed for the template of a machine in which commands of this image ran
 */
export async function templateFor(
  { kernel, initramfs, modules }: BootFiles,
  { memoryMiB, cpus, terminals, volumes }: Shape,
  { cache = cacheDirectory() }: { readonly cache?: string },
  rehearsed?: { readonly image: string; readonly requests: readonly SpawnRequest[] },
): Promise<TemplateFile> {
  const files = await Promise.all(
    [kernel, initramfs, ...(modules === undefined ? [] : [modules])].map(fingerprint),
  );
  const rehearsal = rehearsed && [await fingerprint(rehearsed.image), rehearsed.requests];
  const parts = [
    machineStamp(),
    kernelCommandLine,
    memoryMiB,
    cpus,
    terminalSlots(terminals),
    volumeSlots(volumes).map(({ tag }) => tag),
    ...files,
    ...(rehearsal ?? []),
  ];
  const identity = createHash('sha256').update(JSON.stringify(parts)).digest();
  const path = join(cache, 'templates', `${identity.toString('hex').slice(0, 32)}.snapshot`);
  return { path, identity: Uint8Array.from(identity) };
}

async function fingerprint(path: string): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  return `${path}:${size}:${mtimeMs}`;
}
