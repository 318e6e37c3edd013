import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openArchive, openPool, type PackageFile } from '@anole/compose';
import { withLock, writeFileAtomically } from '@anole/host';
import { agentFiles, guestEntries } from './contents.ts';
import { writeCpio } from './cpio.ts';
import type { InitramfsOptions } from './initramfs.ts';
import { extractTools, toolPackages } from './tools.ts';

/** Suites and components the guest's packages come from, whatever the image is made of. */
const request = {
  suites: [
    'trixie',
    { name: 'trixie-updates', optional: true },
    { name: 'trixie-security', optional: true },
  ],
  components: ['main'],
  architecture: 'riscv64',
} as const;

/** See `ensureInitramfs`: finds the file by what is in it, or makes it. */
export async function findOrBuild(directory: string, options: InitramfsOptions): Promise<string> {
  const lockFile = join(directory, 'packages.json');
  const locked = await readLock(lockFile);
  const ready = locked && (await existing(await pathFor(directory, locked)));
  if (ready !== undefined) return ready;
  return await withLock(
    join(directory, 'lock'),
    async () => {
      const packages = (await readLock(lockFile)) ?? (await lockPackages(lockFile, options));
      const path = await pathFor(directory, packages);
      return (await existing(path)) ?? (await build(path, packages, options));
    },
    options.signal ? { signal: options.signal } : {},
  );
}

async function build(
  path: string,
  packages: readonly PackageFile[],
  options: InitramfsOptions,
): Promise<string> {
  const { signal, onProgress } = options;
  const call = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
  const pool = await openPool({ ...archiveOptions(options), ...request });
  const tools = await extractTools(pool, packages, call);
  await writeFileAtomically(path, writeCpio(await guestEntries(tools)));
  return path;
}

/** Finds the newest versions and keeps them for later starts. */
async function lockPackages(file: string, options: InitramfsOptions): Promise<PackageFile[]> {
  const archive = await openArchive({ ...archiveOptions(options), ...request });
  const packages = Object.keys(toolPackages).map((name) => {
    const { version, architecture, suite, filename, size, sha256 } = archive.packages.get(name)!;
    return { name, version, architecture, suite, filename, size, sha256 };
  });
  await writeFileAtomically(file, `${JSON.stringify(packages, undefined, 2)}\n`);
  return packages;
}

function archiveOptions(options: InitramfsOptions) {
  const { mirror, keyring, cache, signal, onProgress } = options;
  return {
    ...(mirror !== undefined && { mirror }),
    ...(keyring !== undefined && { keyring }),
    ...(cache !== undefined && { cache }),
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  };
}

async function readLock(file: string): Promise<PackageFile[] | undefined> {
  try {
    const packages = JSON.parse(await readFile(file, 'utf8')) as PackageFile[];
    const names = packages.map(({ name }) => name);
    return names.join() === Object.keys(toolPackages).join() ? packages : undefined;
  } catch {
    return undefined;
  }
}

async function pathFor(directory: string, packages: readonly PackageFile[]): Promise<string> {
  const hash = createHash('sha256');
  for (const { path, bytes } of await agentFiles()) hash.update(`${path}\0`).update(bytes);
  for (const { sha256 } of packages) hash.update(sha256);
  return join(directory, `initramfs-${hash.digest('hex').slice(0, 32)}.cpio`);
}

async function existing(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? undefined : path;
}
