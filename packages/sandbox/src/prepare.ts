import type { CallOptions } from '@anole/bytes';
import { ensureImage, fetchKernel, type KernelOptions } from '@anole/compose/ensure';
import type { ImageExecution } from './container-image.ts';
import type { BootFiles, TreeSource } from './engine/messages.ts';
import { ensureInitramfs } from './guest/initramfs.ts';
import { imageAt, isContainer, recipeOf } from './image.ts';

/** Where packages come from, and where what is made of them is kept. */
export interface PrepareOptions extends CallOptions {
  /** Base URI of a Debian archive. Default: ANOLE_DEBIAN_MIRROR, else apt's configuration. */
  readonly mirror?: string;
  /** File with the OpenPGP keys to trust instead of Debian's. */
  readonly keyring?: string;
  /** Directory of the cache. Default: `cacheDirectory()` of @anole/host. */
  readonly cache?: string;
  /** Told what the user should know of an image that had to be made: a suite that is missing. */
  readonly onNote?: (note: string) => void;
}

/** An image: where it is, and what it says. */
export interface FoundImage {
  readonly root: TreeSource;
  /** Variables of every command. */
  readonly environment: Readonly<Record<string, string>>;
  readonly hostname: string;
  /** How commands of a container image run. */
  readonly execution?: ImageExecution;
}

/** What a machine starts from: files of the cache or the user's, and what the image says. */
export interface Parts extends FoundImage {
  readonly boot: BootFiles;
}

/** Makes or finds the image, the kernel and the guest's first file system. */
export async function prepare(
  image: string,
  options: PrepareOptions,
  hasNetwork = false,
): Promise<Parts> {
  const call = callOf(options);
  const { signal } = call;
  const found = await findImage(image, call);
  signal?.throwIfAborted();
  const recipe = recipeOf(image);
  const kernelOf = recipe === undefined ? call : { ...call, recipe };
  const modules = hasNetwork ? { modules: await networkModules(kernelOf) } : {};
  const kernel = await fetchKernel(kernelOf);
  signal?.throwIfAborted();
  const initramfs = await ensureInitramfs(call);
  signal?.throwIfAborted();
  return { ...found, boot: { kernel: kernel.path, initramfs, ...modules } };
}

/** Makes or finds an image. */
export async function findImage(image: string, options: PrepareOptions): Promise<FoundImage> {
  const call = callOf(options);
  const recipe = recipeOf(image);
  return recipe === undefined ? await given(image, call) : await composed(recipe, call);
}

function callOf(options: PrepareOptions): PrepareOptions {
  const { mirror, keyring, cache, signal, onProgress, onNote } = options;
  return {
    ...(mirror !== undefined && { mirror }),
    ...(keyring !== undefined && { keyring }),
    ...(cache !== undefined && { cache }),
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
    ...(onNote && { onNote }),
  };
}

async function given(image: string, call: PrepareOptions) {
  const hostname = 'anole';
  if (!(await isContainer(image))) return { root: await imageAt(image), environment: {}, hostname };
  const [{ ensureContainer }, { layoutAt, parseLocation }] = await Promise.all([
    import('./container-image.ts'),
    import('@anole/oci/node'),
  ]);
  const location = (await layoutAt(image)) ?? parseLocation(image);
  return { ...(await ensureContainer(location, call)), hostname };
}

async function composed(recipe: string, call: PrepareOptions) {
  const { path, environment, hostname } = await ensureImage(recipe, {
    ...call,
    architecture: 'riscv64',
  });
  const root: TreeSource = { kind: 'erofs', path };
  return { root, environment, hostname };
}

async function networkModules(options: KernelOptions): Promise<string> {
  const { ensureNetworkModules } = await import('./guest/network.ts');
  return await ensureNetworkModules(options);
}
