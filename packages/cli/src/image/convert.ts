import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { lendingSource } from '@anole/bytes';
import { type FileRange, openErofs, type WantedFile, writeErofs } from '@anole/erofs';
import { fileSource, hostDecoders, hostError } from '@anole/host';
import { commandNeeds, findHints, nodeEncoders, rafsVariant, type Trace } from '@anole/nydus/node';
import {
  copyImage,
  type Descriptor,
  describe,
  encodeManifest,
  fitness,
  formatPlatform,
  hintAnnotations,
  type ImageIndex,
  type ImageReader,
  type ImageWriter,
  isManifestType,
  mediaTypes,
  OciError,
  openImage,
  type Platform,
  parsePlatform,
  readManifest,
} from '@anole/oci';
import {
  chunkedVariant,
  convertImage,
  KeepingReader,
  type OpenedWriter,
  type StagedLayer,
  type VariantFormat,
} from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { type CompressionFlags, compressionOf } from '../fs/compression.ts';
import { keepHeapSmall } from '../heap.ts';
import { type RegistryFlags, Session } from './session.ts';
import { traceIn } from './trace-file.ts';

interface ConvertFlags extends RegistryFlags, Omit<CompressionFlags, 'output'> {
  readonly platform?: string;
  readonly only?: boolean;
  readonly format?: string;
  readonly digester?: string;
  readonly prioritize?: string;
  readonly trace?: string;
}

export async function convertAction(
  context: CommandContext,
  source: string,
  destination: string,
  flags: ConvertFlags,
): Promise<number> {
  keepHeapSmall();
  await using session = await Session.open(context, flags);
  await using resources = new AsyncDisposableStack();
  const format = await formatOf(flags, resources);
  const from = await session.reader(source);
  const root = await from.reader.resolve(from.selector, session.call);
  const wanted = flags.platform === undefined ? undefined : parsePlatform(flags.platform);
  // What comes over a network comes once: it is converted while it comes, and kept for the copies.
  const keeping =
    from.reader.origin &&
    resources.use(new KeepingReader(from.reader, session.store, session.call));
  const images = keeping ?? from.reader;
  const originals = await originalsOf(images, root, wanted, session);
  await using to = await session.writer(destination);
  // What everyone can read takes the place of the originals.
  const isAlone = flags.only || format.feature === undefined;
  const variants: Descriptor[] = [];
  for (const { descriptor, platform } of originals) {
    const image = await openImage(images, descriptor, platform, session.call);
    keeping?.expect(image.manifest.layers);
    const options = { ...session.call, scratch: tmpdir() };
    const tag =
      format.feature === undefined && descriptor.digest === root.digest ? to.tag : undefined;
    variants.push(
      await convertImage(image, to.writer, format, {
        ...options,
        ...(tag !== undefined && { tag }),
      }),
    );
  }
  if (keeping) await fetchOriginals(from.reader, root, wanted, session);
  if (!isAlone) {
    const local = keeping ? session.store : from.reader;
    for (const { descriptor } of originals) {
      await copyOne(local, to.writer, descriptor, session, from.reader);
    }
  }
  const isOne = format.feature === undefined && originals[0]!.descriptor.digest === root.digest;
  const descriptor = isOne
    ? variants[0]!
    : await putIndex([...(isAlone ? [] : originals.map(entryOf)), ...variants], to, session);
  await to.writer.finish?.(session.call);
  report(context, destination, descriptor, variants);
  return 0;
}

async function putIndex(
  manifests: readonly Descriptor[],
  { writer, tag }: OpenedWriter,
  { call }: Session,
): Promise<Descriptor> {
  const index: ImageIndex = { kind: 'index', mediaType: mediaTypes.index, manifests };
  const document = encodeManifest(index);
  const descriptor = await describe(mediaTypes.index, document);
  await writer.putManifest(descriptor, document, tag, call);
  return descriptor;
}

async function formatOf(
  flags: ConvertFlags,
  resources: AsyncDisposableStack,
): Promise<VariantFormat> {
  const { format = 'erofs', prioritize } = flags;
  if (prioritize !== undefined && format !== 'estargz') {
    throw usageError(`Cannot put files first in ${format}: only estargz has that`, 'image convert');
  }
  if (flags.trace !== undefined && format === 'zstd:chunked') {
    throw usageError('Cannot order zstd:chunked by a trace: it has no order', 'image convert');
  }
  const trace = flags.trace === undefined ? [] : await traceIn(flags.trace);
  if (format === 'erofs') return erofsFormat(flags, trace, resources);
  const paths = filesOf(trace).map(({ path }) => path);
  if (format === 'rafs') return rafsFormat(flags, paths);
  if (format === 'zstd:chunked') return chunkedVariant('zstd:chunked');
  if (format === 'estargz') {
    const prioritized = prioritize === undefined ? paths : await pathsIn(prioritize);
    return chunkedVariant('estargz', { prioritized });
  }
  throw usageError(
    `Cannot convert to ${format}: it is erofs, rafs, estargz or zstd:chunked`,
    'image convert',
  );
}

/** Paths in a file, one on each line. */
async function pathsIn(file: string): Promise<readonly string[]> {
  try {
    const lines = (await readFile(file, 'utf8')).split('\n');
    return lines.map((line) => line.replace(/^\.?\/+/, '')).filter((line) => line !== '');
  } catch (error) {
    throw hostError(error, `read ${file}`);
  }
}

/** EROFS, each image whole: what a trace names, or else what its command needs, lies first, in its order. */
function erofsFormat(
  flags: Omit<CompressionFlags, 'output'>,
  trace: Trace,
  resources: AsyncDisposableStack,
): VariantFormat {
  const compression = compressionOf({ ...flags, output: '-' }, resources, 'image convert');
  return {
    feature: 'erofs',
    write: (staging, call, { execution }) => ({
      async finish(tree) {
        const wanted = trace.length > 0 ? trace : await commandNeeds(tree, execution, call);
        const first = filesOf(wanted);
        const options = { ...call, first, ...(compression && { compression }) };
        const image = await writeErofs(tree, options);
        const staged = await staging.addProtected(image, mediaTypes.erofsLayer);
        return [await withHints(staged, wanted)];
      },
    }),
    async open([layer]) {
      const file = fileSource(layer!.path);
      const tree = await openErofs(lendingSource(file), { decoders: hostDecoders });
      return Object.assign(tree, { close: () => file.close() });
    },
  };
}

/** What is wanted of each file, in the order of their first reads. */
function filesOf(trace: Trace): WantedFile[] {
  const files = new Map<string, FileRange[]>();
  for (const { path, offset, length } of trace) {
    const ranges = files.get(path);
    if (ranges) ranges.push([offset, offset + length]);
    else files.set(path, [[offset, offset + length]]);
  }
  return [...files].map(([path, ranges]) => ({ path, ranges }));
}

/** Tells who reads the layer on demand what it will want first. */
async function withHints({ layer, path, ...rest }: StagedLayer, trace: Trace) {
  using source = fileSource(path);
  const hints = hintAnnotations(await findHints(source, trace));
  return { ...rest, path, layer: { ...layer, annotations: { ...layer.annotations, ...hints } } };
}

/** RAFS, a blob for each layer. */
function rafsFormat(
  { compress = 'zstd', digester = 'blake3' }: ConvertFlags,
  prefetch: readonly string[],
): VariantFormat {
  const compressor = rafsCompressors[compress];
  if (compressor === undefined || (digester !== 'blake3' && digester !== 'sha256')) {
    const message = `Cannot write RAFS with ${compress} and ${digester}`;
    throw usageError(`${message}: give zstd, lz4 or none, blake3 or sha256`, 'image convert');
  }
  return rafsVariant({ encoders: nodeEncoders(), compressor, digester, prefetch });
}

const rafsCompressors: Readonly<Record<string, 'none' | 'lz4_block' | 'zstd'>> = {
  none: 'none',
  lz4: 'lz4_block',
  lz4_block: 'lz4_block',
  zstd: 'zstd',
};

interface Original {
  readonly descriptor: Descriptor;
  readonly platform: Platform;
}

function entryOf({ descriptor: { mediaType, digest, size }, platform }: Original): Descriptor {
  return { mediaType, digest, size, platform };
}

/** What the conversion has not read: manifests, configurations, what refers to no file system. */
async function fetchOriginals(
  reader: ImageReader,
  root: Descriptor,
  platform: Platform | undefined,
  { store, call }: Session,
): Promise<void> {
  const only = platform && { platform, keepIndex: true };
  await copyImage(reader, store, { ...call, selector: root.digest, ...only });
}

/** The images to convert: all of an index but variants that are there, attestations and the like. */
async function originalsOf(
  reader: ImageReader,
  root: Descriptor,
  wanted: Platform | undefined,
  { call }: Session,
): Promise<readonly Original[]> {
  const { content } = await readManifest(reader, root, call);
  if (content.kind === 'manifest') {
    const { config } = await openImage(reader, root, parsePlatform('riscv64'), call);
    if (wanted && fitness(config.platform, wanted) === 0) throw absent(wanted);
    return [{ descriptor: root, platform: config.platform }];
  }
  const found = content.manifests.flatMap((descriptor) => {
    const { platform, mediaType } = descriptor;
    if (platform === undefined || platform.os === 'unknown' || !isManifestType(mediaType))
      return [];
    if (platform.features) return [];
    if (wanted && fitness(platform, wanted) === 0) return [];
    return [{ descriptor, platform }];
  });
  if (found.length > 0) return found;
  throw absent(wanted);
}

function absent(wanted: Platform | undefined): OciError {
  const which = wanted ? ` for ${formatPlatform(wanted)}` : '';
  return new OciError('OCI_NO_PLATFORM', `Cannot convert: there is no image${which}`);
}

/** The original beside its variant. A registry takes over what it has. */
async function copyOne(
  from: ImageReader,
  to: ImageWriter,
  descriptor: Descriptor,
  { call }: Session,
  source: ImageReader,
): Promise<void> {
  const one: ImageReader = {
    name: from.name,
    resolve: async () => descriptor,
    manifest: (each, options) => from.manifest(each, options),
    blob: (each, options) => from.blob(each, options),
    ...(source.origin && { origin: source.origin }),
  };
  const unfinished: ImageWriter = {
    name: to.name,
    has: (each, options) => to.has(each, options),
    putBlob: (each, open, options) => to.putBlob(each, open, options),
    putManifest: (each, bytes, tag, options) => to.putManifest(each, bytes, tag, options),
  };
  await copyImage(one, unfinished, call);
}

function report(
  context: CommandContext,
  name: string,
  { digest }: Descriptor,
  variants: readonly Descriptor[],
): void {
  context.endProgress();
  const list = variants.map((each) => ({
    platform: formatPlatform(each.platform!),
    digest: each.digest,
  }));
  if (context.json) {
    context.out(JSON.stringify({ name, digest, variants: list, verified: true }, null, 2));
    return;
  }
  for (const variant of list) context.err(`${variant.platform}  ${variant.digest}  verified`);
  context.out(`${name}@${digest}`);
}
