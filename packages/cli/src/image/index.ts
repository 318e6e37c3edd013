import { tmpdir } from 'node:os';
import type { CallOptions } from '@anole/bytes';
import {
  EROFS_INDEX_DIGEST,
  ErofsIndexMaker,
  type ErofsIndexOptions,
  indexAsErofs,
  nodeEncoders,
  rafsReferenceVariant,
} from '@anole/nydus/node';
import { type Descriptor, type Image, type ImageWriter, soci } from '@anole/oci';
import {
  bindIndexes,
  convertImage,
  type IndexedLayer,
  type IndexImageOptions,
  indexImage,
  indexLayers,
  putSociIndex,
} from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { formatBytes } from '../progress.ts';
import { table } from '../table.ts';
import { copyLayers } from './change.ts';
import { type PlatformFlags, type RegistryFlags, Session } from './session.ts';
import { traceIn } from './trace-file.ts';

interface IndexFlags extends RegistryFlags, PlatformFlags {
  readonly span?: string;
  readonly minLayer?: string;
  readonly bind?: string;
  readonly format?: string;
  readonly trace?: string;
}

const TOOL = 'anole';

/** What was made of an image. */
interface Made {
  /** By what they are. */
  readonly indexes: ReadonlyMap<'soci' | 'erofs' | 'rafs', Descriptor>;
  readonly layers: readonly IndexedLayer[];
  /** The copy that names them. */
  readonly bound?: Descriptor;
}

type Options = IndexImageOptions & ErofsIndexOptions;
type Make = (image: Image, to: ImageWriter, isBound: boolean, options: Options) => Promise<Made>;

/** Makes indexes of an image, and puts them beside the image, or into a copy of it. */
export async function indexAction(
  context: CommandContext,
  name: string,
  flags: IndexFlags,
): Promise<number> {
  const { format = 'both', bind } = flags;
  const make = Object.hasOwn(makers, format) ? makers[format as keyof typeof makers] : undefined;
  if (make === undefined || (format === 'rafs' && bind !== undefined)) {
    const what = make === undefined ? `as ${format}` : `as ${format} into a copy`;
    throw usageError(
      `Cannot index ${what}: soci, erofs and rafs are there, --bind of soci and erofs`,
      'image index',
    );
  }
  await using session = await Session.open(context, flags);
  const image = await session.image(name, flags);
  const options: Options = {
    ...session.call,
    tool: TOOL,
    ...(flags.span !== undefined && { span: bytesOf(flags.span, '--span', 64 * 1024) }),
    ...(flags.minLayer !== undefined && { minLayer: bytesOf(flags.minLayer, '--min-layer', 0) }),
    ...(flags.trace !== undefined && { trace: await traceIn(flags.trace) }),
  };
  const made =
    bind === undefined
      ? await putBeside(name, session, (to) => make(image, to, false, options))
      : await putInto(image, bind, session, (to) => make(image, to, true, options));
  report(context, bind ?? name, image, made);
  return 0;
}

const makers: Readonly<Record<'both' | 'soci' | 'erofs' | 'rafs', Make>> = {
  both: indexAsBoth,
  async soci(image, to, isBound, options) {
    const version = isBound ? 'v2' : 'v1';
    const { descriptor, layers } = await indexImage(image, to, version, options);
    return { indexes: new Map([['soci', descriptor]]), layers };
  },
  async erofs(image, to, isBound, options) {
    const subject = isBound ? undefined : image.descriptor;
    const descriptor = await indexAsErofs(image, to, subject, options);
    return { indexes: new Map([['erofs', descriptor]]), layers: [] };
  },
  rafs: indexAsRafs,
};

/** Both at once, each layer being read once: that of SOCI, and where all layers can have one that as EROFS. */
async function indexAsBoth(
  image: Image,
  to: ImageWriter,
  isBound: boolean,
  options: Options,
): Promise<Made> {
  const maker = new ErofsIndexMaker(options.span);
  const all = { ...options, watch: maker.watch, readsAll: true };
  const layers = await indexLayers(image, to, all);
  const found = layers.flatMap(({ index }) => index ?? []);
  const indexes: [keyof typeof annotations, Descriptor][] = [];
  const isMapped = found.length === layers.length;
  if (!isMapped || layers.some(({ ztoc }) => ztoc)) {
    const version = isBound ? 'v2' : 'v1';
    indexes.push(['soci', await putSociIndex(image, layers, to, version, options)]);
  }
  if (isMapped) {
    const subject = isBound ? undefined : image.descriptor;
    indexes.push(['erofs', await maker.put(image, found, to, subject, options)]);
  }
  return { indexes: new Map(indexes), layers };
}

/** An image of Nydus whose data stay in the layers of this one. */
async function indexAsRafs(
  image: Image,
  to: ImageWriter,
  _isBound: boolean,
  { signal, onProgress }: Options,
): Promise<Made> {
  const format = rafsReferenceVariant(image, { encoders: nodeEncoders() });
  const descriptor = await convertImage(image, to, format, {
    scratch: tmpdir(),
    subject: image.descriptor,
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  });
  return { indexes: new Map([['rafs', descriptor]]), layers: [] };
}

async function putBeside(
  name: string,
  session: Session,
  put: (to: ImageWriter) => Promise<Made>,
): Promise<Made> {
  if (/^(?:oci|docker)-archive:/.test(name)) {
    throw usageError(`Cannot put an index into ${name}: archives do not change`, 'image index');
  }
  await using to = await session.writer(name);
  const made = await put(to.writer);
  await to.writer.finish?.(session.call);
  return made;
}

/** The annotations by which a copy names its indexes. */
const annotations = { soci: soci.indexDigest, erofs: EROFS_INDEX_DIGEST } as const;

async function putInto(
  image: Image,
  destination: string,
  session: Session,
  put: (to: ImageWriter) => Promise<Made>,
): Promise<Made> {
  await using to = await session.writer(destination);
  await copyLayers(image, to.writer, session);
  await copyConfig(image, to.writer, session.call);
  const made = await put(to.writer);
  const named = new Map(
    [...made.indexes].map(([kind, each]) => [annotations[kind as keyof typeof annotations], each]),
  );
  const bound = await bindIndexes(image, named, to.writer, to.tag, session.call);
  await to.writer.finish?.(session.call);
  return { ...made, bound };
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
  { indexes, layers, bound }: Made,
): void {
  context.endProgress();
  const { digest } = bound ?? image.descriptor;
  const list = layers.map(({ layer, ztoc, why, spans, files }) => ({
    layer: layer.digest,
    size: layer.size,
    ...(ztoc && { ztoc: ztoc.digest, ztocSize: ztoc.size, spans, files }),
    ...(why !== undefined && { why }),
  }));
  const made = [...indexes].map(([format, index]) => ({ format, index: index.digest }));
  if (context.json) {
    const { index } = made[0]!;
    context.out(
      JSON.stringify({ name, image: digest, index, indexes: made, layers: list }, null, 2),
    );
    return;
  }
  for (const { layer, size, ztocSize, spans, files, why } of list) {
    const what =
      why ?? `${files} files, ${spans} spans, the index has ${formatBytes(ztocSize ?? 0)}`;
    context.err(`${layer.slice(7, 19)}  ${formatBytes(size)}: ${what}`);
  }
  for (const { index } of made) context.out(index);
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
