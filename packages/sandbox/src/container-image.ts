import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallOptions } from '@anole/bytes';
import { cacheDirectory, withLock } from '@anole/host';
import { onDemandFeatures, onDemandOf } from '@anole/nydus/on-demand';
import {
  copyImage,
  type Descriptor,
  formatPlatform,
  type Image,
  type ImageReader,
  manifestIn,
  mediaTypes,
  OciError,
  openImage,
  parsePlatform,
  readConfig,
  readNamed,
} from '@anole/oci';
import {
  formatLocation,
  type ImageLocation,
  ImageStore,
  imageTree,
  KeptDocuments,
  type OpenedReader,
  openReader,
  Registries,
  type Surroundings,
  storeName,
} from '@anole/oci/node';
import type { TreeSource } from './engine/messages.ts';

/** How an image's maker wants commands to run. */
export interface ImageExecution {
  /** Put before the arguments of a command, as container tools do. */
  readonly entrypoint: readonly string[];
  /** The arguments, where none are given. */
  readonly cmd: readonly string[];
  readonly workingDirectory?: string;
  /** `user[:group]` */
  readonly user?: string;
  /** The digest that the image's name stood for. Absent: it is no container image. */
  readonly digest?: string;
}

export interface ContainerImage {
  readonly root: TreeSource;
  readonly environment: Readonly<Record<string, string>>;
  readonly execution: ImageExecution;
}

type RegistryLocation = Extract<ImageLocation, { kind: 'registry' }>;
/** Places that are far away. */
const FAR: readonly ImageLocation['kind'][] = ['registry', 'web', 's3'];

const platform = parsePlatform('linux/riscv64');
/** Where an image has a variant that is EROFS already, that is taken. */
const preferred = { ...platform, features: ['erofs'] };
/** Or one that is read as it is needed. */
const preferredOnDemand = { ...platform, features: onDemandFeatures };

/**
 * Makes the file system of a container image ready: pulled where it is in a registry, written once
 * as an EROFS image that lies in the store beside what it was made of.
 *
 * @throws OciError, TarError, VfsError, HostError
 */
export async function ensureContainer(
  location: ImageLocation,
  { cache = cacheDirectory(), ...call }: CallOptions & { readonly cache?: string },
): Promise<ContainerImage> {
  const documents = new KeptDocuments(join(cache, 'blobs/documents'));
  using registries = await Registries.load({ documents });
  const store = new ImageStore(join(cache, 'oci'));
  const { signal } = call;
  await using _held = await store.hold(signal ? { signal } : {});
  using from = await openReader(location, { registries, store }, call);
  const isRemote = location.kind === 'registry';
  const around = { registries, store };
  const lazy =
    FAR.includes(location.kind) &&
    (await onDemand(from, location, around, join(cache, 'blobs'), call));
  if (lazy) return lazy;
  const root = isRemote
    ? await pulled(from.reader, from.selector, location, around, call)
    : await from.reader.resolve(from.selector, call);
  const image = await openPreferred(isRemote ? store : from.reader, root, call);
  checkPlatform(image);
  const path = erofsFile(image) ?? (await ensureErofs(image, store, call));
  return containerOf({ kind: 'erofs', path }, image, root);
}

function containerOf(
  root: TreeSource,
  { config }: Pick<Image, 'config'>,
  { digest }: Descriptor,
): ContainerImage {
  const { entrypoint, cmd, env, user, workingDirectory } = config.execution;
  return {
    root,
    environment: variablesOf(env),
    execution: {
      entrypoint,
      cmd,
      digest,
      ...(user !== undefined && { user }),
      ...(workingDirectory !== undefined && { workingDirectory }),
    },
  };
}

/**
 * An image of a registry that need not be pulled: which can be verified range by range, and is not here
 * anyway.
 */
async function onDemand(
  { reader, selector }: OpenedReader,
  location: ImageLocation,
  { registries, store }: Surroundings,
  path: string,
  call: CallOptions,
): Promise<ContainerImage | undefined> {
  const named = await readNamed(reader, selector, call);
  const document = await manifestIn(reader, named, preferredOnDemand, call);
  const isRegistry = location.kind === 'registry';
  const reference = isRegistry && registries.expand(location.reference);
  const name = formatLocation(reference ? { kind: 'registry', reference } : location);
  const image = await onDemandOf(name, reader, document, call);
  const last = image?.layers.at(-1);
  if (image === undefined || (last && (await store.has(last)))) return undefined;
  const config = await readConfig(reader, document.content.config, call);
  checkPlatform({ reader, descriptor: document.descriptor, manifest: document.content, config });
  const root = { kind: 'on-demand', path, image } as const;
  return containerOf(root, { config }, named.descriptor);
}

/** Of a pulled image only one variant may be here. */
async function openPreferred(
  reader: ImageReader,
  root: Descriptor,
  call: CallOptions,
): Promise<Image> {
  try {
    return await openImage(reader, root, preferred, call);
  } catch (error) {
    if (!(error instanceof OciError) || error.code !== 'OCI_NOT_FOUND') throw error;
    return await openImage(reader, root, platform, call);
  }
}

/** The file of an image whose only layer is EROFS, where its reader keeps files. */
function erofsFile({ manifest, reader }: Image): string | undefined {
  const [layer] = manifest.layers;
  const isErofs = manifest.layers.length === 1 && layer?.mediaType === mediaTypes.erofsLayer;
  return isErofs ? reader.pathOf?.(layer) : undefined;
}

async function pulled(
  reader: ImageReader,
  selector: string | undefined,
  { reference }: RegistryLocation,
  { registries, store }: Surroundings,
  call: CallOptions,
): Promise<Descriptor> {
  const root = await reader.resolve(selector, call);
  const name = storeName(reference, registries);
  const options = { ...call, selector: root.digest, platform: preferred, keepIndex: true };
  // By its digest, an image has no name that could keep it: that it was asked for does.
  const tag = name.startsWith('sha') ? `${registries.expand(reference).host}@${name}` : name;
  await copyImage(reader, store, { ...options, tag });
  return root;
}

function checkPlatform({ config, reader }: Image): void {
  const { os, architecture } = config.platform;
  if (os === platform.os && architecture === platform.architecture) return;
  const found = formatPlatform(config.platform);
  throw new OciError('OCI_NO_PLATFORM', `Cannot run ${reader.name}: the image is for ${found}`, {
    details: { wanted: formatPlatform(platform), platforms: [found] },
    hint: 'The machine runs images for linux/riscv64.',
  });
}

/** The image as EROFS, made if need be: by one process, while others wait for it. */
async function ensureErofs(image: Image, store: ImageStore, call: CallOptions): Promise<string> {
  const hex = image.descriptor.digest.replace(/^.*:/, '');
  const directory = join(store.directory, 'erofs');
  const path = join(directory, `${hex}.erofs`);
  if (await isThere(path)) return path;
  await mkdir(directory, { recursive: true });
  const lock = join(store.directory, 'locks', hex.slice(0, 3));
  const { signal } = call;
  await withLock(lock, () => makeErofs(image, path, directory, call), signal ? { signal } : {});
  return path;
}

async function makeErofs(
  image: Image,
  path: string,
  scratch: string,
  call: CallOptions,
): Promise<void> {
  if (await isThere(path)) return;
  const tree = await imageTree(image, { ...call, scratch });
  try {
    // Only who makes one needs it: images are mostly there already.
    const { writeErofsFile } = await import('@anole/compose/compress');
    await writeErofsFile(path, tree, call);
  } finally {
    await tree.close?.();
  }
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** What is no `NAME=value` is left out, as container tools do. */
function variablesOf(env: readonly string[]): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const setting of env) {
    const equals = setting.indexOf('=');
    if (equals > 0 && !setting.includes('\0')) {
      variables[setting.slice(0, equals)] = setting.slice(equals + 1);
    }
  }
  return variables;
}
