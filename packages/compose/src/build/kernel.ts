import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory, createFileAtomically, fileSource, systemCode } from '@anole/host';
import { openDeb, readData } from '../package/deb.ts';
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
