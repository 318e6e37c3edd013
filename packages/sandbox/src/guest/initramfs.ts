import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallOptions } from '@anole/bytes';
import { cacheDirectory, writeFileAtomically } from '@anole/host';
import { agentStamp } from './contents.ts';

export interface InitramfsOptions extends CallOptions {
  readonly mirror?: string;
  readonly keyring?: string;
  readonly cache?: string;
}

/**
 * File with the guest's first file system: made of Debian's packages at first use, then kept in the
 * cache as `guest/initramfs-<hash>.cpio`. The hash is of the agent's modules and of the packages,
 * whose exact versions `guest/packages.json` keeps; while both stand, the network is not asked.
 *
 * @throws ArchiveError, PackageError, HostError; SandboxError `SANDBOX_BOOT`
 */
export async function ensureInitramfs(options: InitramfsOptions = {}): Promise<string> {
  const directory = join(options.cache ?? cacheDirectory(), 'guest');
  const stamp = agentStamp();
  const known = await readPointer(directory, stamp);
  if (known !== undefined) return known;
  // Loaded only now: packages and their archives are much code.
  const { findOrBuild } = await import('./build-initramfs.ts');
  const path = await findOrBuild(directory, options);
  await writeFileAtomically(join(directory, pointerName), JSON.stringify({ stamp, path }));
  return path;
}

/** What the last start found, and what the agent's files were then. */
const pointerName = 'current.json';

async function readPointer(directory: string, stamp: string): Promise<string | undefined> {
  try {
    const text = await readFile(join(directory, pointerName), 'utf8');
    const pointer = JSON.parse(text) as { readonly stamp: string; readonly path: string };
    return pointer.stamp === stamp ? await existing(pointer.path) : undefined;
  } catch {
    return undefined;
  }
}

async function existing(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? undefined : path;
}
