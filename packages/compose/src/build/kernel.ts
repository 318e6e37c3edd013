import { access, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { cacheDirectory, createFileAtomically, fileSource, systemCode } from '@anole/host';
import { openDeb, readData } from '../package/deb.ts';
import { decompress } from '../package/decompress.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { BuildError } from './errors.ts';
import { type LockOptions, withLocked } from './lock-file.ts';

/** A kernel out of a package, as the file that boots. */
export interface Kernel {
  readonly path: string;
  /** As `uname -r` says: `6.12.48+deb13-riscv64`. */
  readonly version: string;
}

/**
 * The kernel that a recipe's lock names, extracted into the cache. Of the package only its beginning
 * is unpacked: the modules after the kernel are left alone.
 *
 * @throws BuildError `BUILD_NO_KERNEL` and what `buildImage` throws
 */
export async function cachedKernel(recipe: Recipe, options: LockOptions = {}): Promise<Kernel> {
  return withLocked(recipe, options, async ({ lock: { kernel }, pool }) => {
    if (kernel === undefined) throw noKernel(recipe);
    const cache = options.cache ?? cacheDirectory();
    const directory = join(cache, 'kernels', kernel.sha256.slice(0, 32));
    const there = await findKernel(directory);
    if (there !== undefined) return there;
    const { path } = await pool.fetch(kernel, options);
    return extractKernel(path, directory, options);
  });
}

/** Bytes of a module, unpacked, at most. */
const moduleLimit = 64 << 20;

/**
 * Files of modules of the kernel that a recipe's lock names, unpacked, in the order of `names`
 * (`virtio_net`). Nothing else of the package is kept.
 *
 * @throws BuildError `BUILD_NO_KERNEL` where the package has no such module
 */
export async function cachedModules(
  recipe: Recipe,
  names: readonly string[],
  options: LockOptions = {},
): Promise<readonly string[]> {
  return withLocked(recipe, options, async ({ lock: { kernel }, pool }) => {
    if (kernel === undefined) throw noKernel(recipe);
    const cache = options.cache ?? cacheDirectory();
    const directory = join(cache, 'kernels', kernel.sha256.slice(0, 32), 'modules');
    const paths = names.map((name) => join(directory, `${name}.ko`));
    if ((await Promise.all(paths.map(exists))).every(Boolean)) return paths;
    const { path } = await pool.fetch(kernel, options);
    await extractModules(path, directory, new Set(names), options);
    return paths;
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function extractModules(
  deb: string,
  directory: string,
  wanted: Set<string>,
  { signal, onProgress }: LockOptions,
): Promise<void> {
  using source = fileSource(deb);
  // What is unpacked at the same time would disturb the stream: modules are unpacked behind it.
  const found = new Map<string, { readonly bytes: Uint8Array; readonly isPacked: boolean }>();
  let done = 0;
  for await (const entry of readData(await openDeb(source))) {
    signal?.throwIfAborted();
    if (entry.type !== 'file') continue;
    done += entry.size;
    onProgress?.({ step: 'unpack kernel modules', done, unit: 'bytes' });
    const [, name, packed] = /\/([^/]+)\.ko(\.xz)?$/.exec(entry.path) ?? [];
    if (name === undefined || !wanted.delete(name)) continue;
    found.set(name, { bytes: await entry.storedBytes(), isPacked: packed !== undefined });
    if (wanted.size === 0) break;
  }
  if (wanted.size > 0) {
    throw new BuildError(
      'BUILD_NO_KERNEL',
      `Cannot find the modules ${[...wanted].join(', ')} in ${deb}`,
    );
  }
  await mkdir(directory, { recursive: true });
  for (const [name, { bytes, isPacked }] of found) {
    await createFileAtomically(join(directory, `${name}.ko`), async (file) => {
      const stored = Readable.from([bytes]);
      for await (const chunk of decompress(stored, isPacked ? 'xz' : 'none', moduleLimit)) {
        for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
      }
    });
  }
}

function noKernel({ name }: Recipe): BuildError {
  return new BuildError('BUILD_NO_KERNEL', `Cannot boot ${name}: its recipe names no kernel`, {
    hint: 'Add "kernel: { package: linux-image-ARCH }" to the recipe.',
  });
}

/** Debian's names: vmlinux for raw images, vmlinuz for those that unpack themselves. */
const kernelName = /^vmlinu[xz]-([\w.+~-]+)$/;

async function findKernel(directory: string): Promise<Kernel | undefined> {
  try {
    for (const name of await readdir(directory)) {
      const version = kernelName.exec(name)?.[1];
      if (version !== undefined) return { path: join(directory, name), version };
    }
    return undefined;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function extractKernel(
  deb: string,
  directory: string,
  { signal, onProgress }: LockOptions,
): Promise<Kernel> {
  using source = fileSource(deb);
  for await (const entry of readData(await openDeb(source))) {
    signal?.throwIfAborted();
    const name = /^boot\/([^/]+)$/.exec(entry.path)?.[1];
    const version = name && kernelName.exec(name)?.[1];
    if (entry.type !== 'file' || !name || !version) continue;
    const path = join(directory, name);
    await mkdir(directory, { recursive: true });
    await createFileAtomically(path, async (file) => {
      let done = 0;
      for await (const chunk of entry.body()) {
        signal?.throwIfAborted();
        for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
        done += chunk.length;
        onProgress?.({ step: 'unpack kernel', done, total: entry.size, unit: 'bytes' });
      }
    });
    return { path, version };
  }
  throw new BuildError(
    'BUILD_NO_KERNEL',
    `Cannot find a kernel in ${deb}: it has no /boot/vmlinux`,
    {
      hint: "Name another package as the recipe's kernel.",
    },
  );
}
