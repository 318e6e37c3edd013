import { tmpdir } from 'node:os';
import type { CallOptions } from '@anole/bytes';
import { indexAsErofs, nodeEncoders, rafsReferenceVariant } from '@anole/nydus/node';
import type { Descriptor, Image, ImageWriter } from '@anole/oci';
import {
  bindIndex,
  convertImage,
  type IndexedImage,
  type IndexImageOptions,
  indexImage,
} from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { formatBytes } from '../progress.ts';
import { table } from '../table.ts';
import { copyLayers } from './change.ts';
import { type PlatformFlags, type RegistryFlags, Session } from './session.ts';

interface IndexFlags extends RegistryFlags, PlatformFlags {
  readonly span?: string;
  readonly minLayer?: string;
  readonly bind?: string;
  readonly format: string;
}

const formats = ['soci', 'erofs', 'rafs'] as const;

const TOOL = 'anole';

/** Makes an index of an image, and puts it beside the image, or into a copy of it. */
export async function indexAction(
  context: CommandContext,
  name: string,
  flags: IndexFlags,
): Promise<number> {
  const format = formats.find((each) => each === flags.format);
  if (format === undefined || (format !== 'soci' && flags.bind !== undefined)) {
    const what = format === undefined ? `as ${flags.format}` : `as ${format} into a copy`;
    throw usageError(
      `Cannot index ${what}: soci, erofs and rafs are there, --bind of soci`,
      'image index',
    );
  }
  await using session = await Session.open(context, flags);
  const image = await session.image(name, flags);
  const options: IndexImageOptions = {
    ...session.call,
    tool: TOOL,
    ...(flags.span !== undefined && { span: bytesOf(flags.span, '--span', 64 * 1024) }),
    ...(flags.minLayer !== undefined && { minLayer: bytesOf(flags.minLayer, '--min-layer', 0) }),
  };
  const made =
    flags.bind === undefined
      ? await putBeside(name, session, (to) => make[format](image, to, options))
      : await putInto(image, flags.bind, session, options);
  report(context, flags.bind ?? name, image, made);
  return 0;
}

type Make = (image: Image, to: ImageWriter, options: IndexImageOptions) => Promise<IndexedImage>;

const make: Readonly<Record<(typeof formats)[number], Make>> = {
  soci: (image, to, options) => indexImage(image, to, 'v1', options),
  erofs: (image, to, options) => indexAsErofs(image, to, { ...options, scratch: tmpdir() }),
  rafs: indexAsRafs,
};

/** An image of Nydus whose data stay in the layers of this one. */
async function indexAsRafs(
  image: Image,
  to: ImageWriter,
  { signal, onProgress }: IndexImageOptions,
): Promise<IndexedImage> {
  const format = rafsReferenceVariant(image, { encoders: nodeEncoders() });
  const descriptor = await convertImage(image, to, format, {
    scratch: tmpdir(),
    subject: image.descriptor,
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  });
  return { descriptor, layers: [] };
}

async function putBeside(
  name: string,
  session: Session,
  put: (to: ImageWriter) => Promise<IndexedImage>,
) {
  if (/^(?:oci|docker)-archive:/.test(name)) {
    throw usageError(`Cannot put an index into ${name}: archives do not change`, 'image index');
  }
  await using to = await session.writer(name);
  const made = await put(to.writer);
  await to.writer.finish?.(session.call);
  return made;
}

async function putInto(
  image: Image,
  destination: string,
  session: Session,
  options: IndexImageOptions,
) {
  await using to = await session.writer(destination);
  await copyLayers(image, to.writer, session);
  await copyConfig(image, to.writer, session.call);
  const made = await indexImage(image, to.writer, 'v2', options);
  const descriptor = await bindIndex(image, made.descriptor, to.writer, to.tag, options);
  await to.writer.finish?.(session.call);
  return { ...made, image: descriptor };
}

/** The configuration stays as it is. */
async function copyConfig(
  { reader, manifest: { config } }: Image,
  to: ImageWriter,
  call: CallOptions,
): Promise<void> {
  if (await to.has(config, call)) return;
  await to.putBlob(config, (start) => reader.blob(config, { ...call, start }), call);
}

function bytesOf(text: string, option: string, least: number): number {
  const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least) return value;
  throw usageError(`Cannot use ${option} ${text}: give ${least} bytes or more`, 'image index');
}

function report(
  context: CommandContext,
  name: string,
  image: Image,
  { descriptor, layers, image: bound }: IndexedImage & { readonly image?: Descriptor },
): void {
  context.endProgress();
  const { digest } = bound ?? image.descriptor;
  const list = layers.map(({ layer, ztoc, why, spans, files }) => ({
    layer: layer.digest,
    size: layer.size,
    ...(ztoc && { ztoc: ztoc.digest, ztocSize: ztoc.size, spans, files }),
    ...(why !== undefined && { why }),
  }));
  if (context.json) {
    context.out(
      JSON.stringify({ name, image: digest, index: descriptor.digest, layers: list }, null, 2),
    );
    return;
  }
  for (const { layer, size, ztocSize, spans, files, why } of list) {
    const what =
      why ?? `${files} files, ${spans} spans, the index has ${formatBytes(ztocSize ?? 0)}`;
    context.err(`${layer.slice(7, 19)}  ${formatBytes(size)}: ${what}`);
  }
  context.out(descriptor.digest);
}

/** Lists what refers to an image. */
export async function referrersAction(
  context: CommandContext,
  name: string,
  flags: RegistryFlags & PlatformFlags & { readonly type?: string },
): Promise<number> {
  await using session = await Session.open(context, flags);
  const { reader, descriptor, root } = await session.image(name, flags);
  const options = {
    ...session.call,
    ...(flags.type !== undefined && { artifactType: flags.type }),
  };
  const found = [...((await reader.referrers?.(descriptor, options)) ?? [])];
  // Some refer to the image for all platforms.
  if (root.digest !== descriptor.digest) {
    found.push(...((await reader.referrers?.(root, options)) ?? []));
  }
  context.endProgress();
  if (context.json) {
    context.out(JSON.stringify({ name, image: descriptor.digest, referrers: found }, null, 2));
    return 0;
  }
  if (found.length === 0) context.err(`nothing refers to ${descriptor.digest}`);
  else {
    const rows = found.map(({ digest, artifactType = '', size }) => [
      digest,
      artifactType,
      formatBytes(size),
    ]);
    context.out(table(['DIGEST', 'TYPE', 'SIZE'], rows));
  }
  return 0;
}
