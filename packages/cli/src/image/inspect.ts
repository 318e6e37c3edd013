import type { Descriptor } from '@anole/oci';
import {
  formatPlatform,
  type Image,
  isEstargz,
  isZstdChunked,
  platformsOf,
  readBlob,
  readManifest,
} from '@anole/oci';
import type { CommandContext } from '../context.ts';
import { shown } from '../fs/format.ts';
import { formatBytes } from '../progress.ts';
import { type PlatformFlags, type RegistryFlags, Session } from './session.ts';

interface InspectFlags extends RegistryFlags, PlatformFlags {
  readonly raw?: boolean;
  readonly config?: boolean;
}

export async function inspectAction(
  context: CommandContext,
  name: string,
  flags: InspectFlags,
): Promise<number> {
  await using session = await Session.open(context, flags);
  if (flags.raw) {
    const { reader, selector } = await session.reader(name);
    const root = await reader.resolve(selector, session.call);
    const at = flags.platform === undefined ? root : (await session.image(name, flags)).descriptor;
    const { bytes } = await readManifest(reader, at, session.call);
    context.endProgress();
    context.out(new TextDecoder().decode(bytes));
    return 0;
  }
  const image = await session.image(name, flags);
  if (flags.config) {
    const { config } = image.manifest;
    const bytes = await readBlob(image.reader, config, config.size, session.call);
    context.endProgress();
    context.out(new TextDecoder().decode(bytes));
    return 0;
  }
  const { content } = await readManifest(image.reader, image.root, session.call);
  const platforms =
    content.kind === 'index'
      ? platformsOf(content).map(formatPlatform)
      : [formatPlatform(image.config.platform)];
  context.endProgress();
  const facts = factsOf(name, image, platforms);
  context.out(context.json ? JSON.stringify(facts, null, 2) : text(facts));
  return 0;
}

function tableOf(layer: Descriptor): 'estargz' | 'zstd:chunked' | null {
  if (isEstargz(layer)) return 'estargz';
  return isZstdChunked(layer) ? 'zstd:chunked' : null;
}

type Facts = ReturnType<typeof factsOf>;

function factsOf(
  name: string,
  image: Image & { readonly root: Descriptor },
  platforms: readonly string[],
) {
  const { manifest, config, descriptor, root } = image;
  const { execution } = config;
  return {
    name,
    digest: root.digest,
    mediaType: root.mediaType,
    platforms,
    image: {
      digest: descriptor.digest,
      platform: formatPlatform(config.platform),
      created: config.created ?? null,
      author: config.author ?? null,
      size: manifest.layers.reduce((sum, { size }) => sum + size, manifest.config.size),
      config: manifest.config.digest,
      layers: manifest.layers.map((layer, at) => ({
        digest: layer.digest,
        size: layer.size,
        mediaType: layer.mediaType,
        diffId: config.diffIds[at] ?? null,
        /** How it can be read by ranges, as it says itself. */
        table: tableOf(layer),
      })),
      annotations: manifest.annotations ?? {},
      env: execution.env,
      entrypoint: execution.entrypoint,
      cmd: execution.cmd,
      workingDirectory: execution.workingDirectory ?? null,
      user: execution.user ?? null,
      stopSignal: execution.stopSignal ?? null,
      labels: execution.labels,
    },
  };
}

function text({ name, digest, platforms, image }: Facts): string {
  const lines: (readonly [string, string])[] = [
    ['name', name],
    ['digest', digest],
    ['platforms', platforms.join(' ')],
    ['platform', `${image.platform}  ${image.digest}`],
    ['created', image.created ?? 'not said'],
    ['size', formatBytes(image.size)],
    ...image.layers.map(
      ({ digest: layer, size, table }, at) =>
        [`layer ${at + 1}`, `${layer}  ${formatBytes(size)}${table ? `  ${table}` : ''}`] as const,
    ),
    ...image.env.map((value) => ['env', value] as const),
    ['entrypoint', words(image.entrypoint)],
    ['cmd', words(image.cmd)],
    ['directory', image.workingDirectory ?? '/'],
    ['user', image.user ?? 'root'],
    ...Object.entries(image.labels).map(([key, value]) => ['label', `${key}=${value}`] as const),
  ];
  const width = Math.max(...lines.map(([key]) => key.length));
  return lines.map(([key, value]) => `${key.padEnd(width)}  ${shown(value)}`).join('\n');
}

function words(argv: readonly string[]): string {
  return argv.length === 0 ? 'none' : argv.map((word) => JSON.stringify(word)).join(' ');
}
