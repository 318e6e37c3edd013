import { httpSource, type Source, viewOf } from '@anole/bytes';
import { type ErofsNode, type ErofsTree, type OpenOptions, openErofs } from '@anole/erofs';
import { COMPAT_RAFS, SUPERBLOCK_MAGIC, SUPERBLOCK_OFFSET, Superblock } from '@anole/erofs/format';
import { fileSource, hostDecoders } from '@anole/host';
import { findNode, sliceSource, VfsError } from '@anole/vfs';
import { usageError } from '../frame.ts';

/** Bytes of an image or a device beside it, open until disposed of. */
export type OpenSource = Source & AsyncDisposable;

/** How much of an image a command reads: over a network it then reads ahead and in large pieces, or not. */
export type Amount = 'little' | 'much';

/**
 * What reads much reads most of what lies beside, too, but in the order of names, in which an image need not be: so what
 * comes next is there more often than it follows. By pages of 4 KiB a check made a request for every second inode.
 */
const MUCH = { readAhead: 2 * 1024 * 1024, pageSize: 128 * 1024 };

export function isUrl(name: string): boolean {
  return /^https?:\/\//i.test(name);
}

/** Opens what a user named: a file, or a URL that is read by ranges. */
export async function openSource(
  name: string,
  amount: Amount,
  signal: AbortSignal,
): Promise<OpenSource> {
  if (isUrl(name)) {
    return await httpSource(name, { signal, ...(amount === 'much' && MUCH) });
  }
  const source = fileSource(name);
  return Object.assign(source, { [Symbol.asyncDispose]: async () => source.close() });
}

/** Opens devices that a user named; else, of a bootstrap of Nydus, its decoded blobs from beside it. */
export async function openDevices(
  file: string,
  source: Source,
  { device = [] }: DeviceFlags,
  open: (name: string) => Promise<Source>,
): Promise<readonly Source[]> {
  const devices: Source[] = [];
  for (const name of device) devices.push(await open(name));
  const isOther = devices.length > 0 || source.size < SUPERBLOCK_OFFSET + Superblock.size;
  if (isOther) return devices;
  const head = viewOf(await source.read(SUPERBLOCK_OFFSET, Superblock.size));
  const { magic, featureCompat } = Superblock.at(head);
  if (magic !== SUPERBLOCK_MAGIC || (featureCompat & COMPAT_RAFS) === 0) return devices;
  const { blobsBeside } = await import('../nydus/open.ts');
  return await blobsBeside(file, source, open);
}

/** What commands take of what lies beside images. */
export interface DeviceFlags {
  /** Devices beside the image, in the order of its table. */
  readonly device?: readonly string[];
}

/** What commands take that read images. */
export interface ImageFlags extends DeviceFlags {
  /** Byte of the file at which the image begins. */
  readonly offset?: string;
}

/** As {@link openSource}, of an image that may begin somewhere in the file, as a partition of a disk does. */
export async function openImageSource(
  name: string,
  amount: Amount,
  signal: AbortSignal,
  { offset }: ImageFlags,
): Promise<OpenSource> {
  if (offset === undefined) return await openSource(name, amount, signal);
  await using opening = new AsyncDisposableStack();
  const whole = opening.use(await openSource(name, amount, signal));
  const start = Number(offset);
  if (!/^\d+$/.test(offset) || start > whole.size) {
    throw usageError(`Cannot use --offset ${offset}: ${name} has ${whole.size} bytes`, 'fs');
  }
  const opened = opening.move();
  return Object.assign(sliceSource(whole, start, whole.size - start), {
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  });
}

/** An image that is open, as its commands use it. Closed when it goes out of scope. */
export class OpenImage {
  readonly file: string;
  readonly tree: ErofsTree;
  readonly source: OpenSource;
  readonly #sources: AsyncDisposableStack;

  private constructor(
    file: string,
    source: OpenSource,
    tree: ErofsTree,
    sources: AsyncDisposableStack,
  ) {
    this.file = file;
    this.source = source;
    this.tree = tree;
    this.#sources = sources;
  }

  static async open(
    file: string,
    amount: Amount,
    signal: AbortSignal,
    flags: ImageFlags = {},
    options: Pick<OpenOptions, 'reuseMemory'> = {},
  ): Promise<OpenImage> {
    await using sources = new AsyncDisposableStack();
    const source = sources.use(await openImageSource(file, amount, signal, flags));
    const beside = sources.use(new AsyncDisposableStack());
    const devices = await openDevices(file, source, flags, async (name) =>
      beside.use(await openSource(name, amount, signal)),
    );
    const tree = await openErofs(source, { decoders: hostDecoders, devices, ...options });
    return new OpenImage(file, source, tree, sources.move());
  }

  /** @throws VfsError `VFS_NOT_FOUND` */
  async find(path: string, followSymlinks: boolean): Promise<ErofsNode> {
    const node = await findNode(this.tree, path, { followSymlinks });
    if (node !== undefined) return node as ErofsNode;
    throw new VfsError('VFS_NOT_FOUND', `Cannot find ${path} in ${this.file}`, {
      details: { path, image: this.file },
      hint: `anole fs ls ${this.file} shows what is there`,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sources.disposeAsync();
  }
}
