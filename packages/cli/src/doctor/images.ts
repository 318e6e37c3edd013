import { existsSync } from 'node:fs';
import { mkdir, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { AnoleError } from '@anole/bytes';
import { cacheDirectory } from '@anole/host';
import { PreContentGroup } from '@anole/host/native';
import { serviceLog } from '../image/service-client.ts';
import type { Finding } from './check.ts';
import { erofs } from './system.ts';

/** linux/magic.h, OVERLAYFS_SUPER_MAGIC */
const OVERLAYFS = 0x794c7630;

const without =
  "Without a mount: 'anole run' reads images in its own process, 'anole image serve --nbd' exports";

/** How `anole image mount` would mount here, and why. */
export async function imageMounts(): Promise<Finding> {
  const name = 'image mounts';
  if (process.geteuid?.() !== 0) {
    return { name, state: 'optional', found: 'none: they need root', next: without };
  }
  const problem = await kernelProblem();
  if (problem === undefined) {
    const how =
      "by the kernel's EROFS; who reads what is not there waits for the service, or the next one";
    return { name, state: 'ok', found: `${how}${log()}` };
  }
  if (existsSync('/dev/fuse')) {
    const how = `through FUSE, as the kernel cannot alone: ${problem}; ${await passing()}`;
    return { name, state: 'ok', found: `${how}${log()}` };
  }
  return { name, state: 'optional', found: `none: ${problem}, and no /dev/fuse`, next: without };
}

/** Where the service logs that commands have started, if they have. */
function log(): string {
  try {
    const path = serviceLog();
    return existsSync(path) ? `; its log is ${path}` : '';
  } catch {
    // Its directory is open to others: it cannot be started.
    return '';
  }
}

/** Whether the kernel could read decoded files by itself: what is built in shows only where something is mounted. */
async function passing(): Promise<string> {
  const [major = 0, minor = 0] = release().split('.').map(Number.parseFloat);
  if (major < 6 || (major === 6 && minor < 9)) return 'it can read no file alone (Linux 6.9 can)';
  const found = await statfs(cacheDirectory()).catch(() => undefined);
  return found?.type === OVERLAYFS
    ? `it can read no file alone: ${cacheDirectory()} is on an overlay`
    : "it reads large files alone where 'anole image serve' has --passthrough";
}

/** Why images cannot be mounted by the kernel, tried on a file of the cache. */
async function kernelProblem(): Promise<string | undefined> {
  if (erofs().state !== 'ok') return 'it has no EROFS';
  const directory = join(cacheDirectory(), 'blobs');
  try {
    await mkdir(directory, { recursive: true });
    const group = new PreContentGroup(directory);
    await group.close();
    return undefined;
  } catch (error) {
    if (AnoleError.is(error) && error.code === 'HOST_NO_NATIVE') return 'koffi is not installed';
    return `Linux ${release()} does not tell of reads in ${directory} (6.14 does, of most file systems)`;
  }
}
