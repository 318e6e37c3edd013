import {
  type Descriptor,
  formatPlatform,
  OciError,
  type Platform,
  parseReference,
  readConfig,
  readManifest,
} from '@anole/oci';
import { ImageStore, type StoredImage, storeName } from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { formatBytes } from '../progress.ts';
import { table } from '../table.ts';
import { type RegistryFlags, Session } from './session.ts';

interface Row {
  readonly name: string;
  readonly digest: string;
  readonly platforms: readonly string[];
  readonly size: number;
  readonly since: string;
}

export async function listAction(context: CommandContext): Promise<number> {
  const store = new ImageStore();
  const rows: Row[] = [];
  for (const image of await store.list()) rows.push(await describe(store, image));
  if (context.json) {
    context.out(JSON.stringify(rows, null, 2));
    return 0;
  }
  if (rows.length === 0) {
    context.err('no images; anole image pull HOST/NAME:TAG gets one');
    return 0;
  }
  const cells = rows.map(({ name, digest, platforms, size }) => [
    name,
    digest.slice(7, 19),
    platforms.join(' ') || 'none',
    formatBytes(size),
  ]);
  context.out(table(['NAME', 'DIGEST', 'PLATFORMS', 'SIZE'], cells));
  return 0;
}

/** What of an image is here: platforms whose manifests are, bytes of what they need. */
async function describe(store: ImageStore, { name, descriptor, since }: StoredImage): Promise<Row> {
  const platforms: string[] = [];
  let size = 0;
  const seen = new Set<string>();
  const count = async (each: Descriptor) => {
    if (seen.has(each.digest) || !(await store.has(each))) return;
    seen.add(each.digest);
    size += each.size;
  };
  const visit = async (each: Descriptor, platform: Platform | undefined): Promise<void> => {
    if (seen.has(each.digest) || !(await store.has(each))) return;
    await count(each);
    const { content } = await readManifest(store, each);
    if (content.kind === 'index') {
      for (const child of content.manifests) await visit(child, child.platform);
      return;
    }
    const found = platform ?? (await readConfig(store, content.config)).platform;
    platforms.push(formatPlatform(found));
    for (const blob of [content.config, ...content.layers]) await count(blob);
  };
  try {
    await visit(descriptor, undefined);
  } catch (error) {
    // A damaged image is still listed, so that it can be removed.
    if (!(error instanceof OciError)) throw error;
  }
  const time = new Date(since).toISOString();
  return { name, digest: descriptor.digest, platforms, size, since: time };
}

export async function tagsAction(
  context: CommandContext,
  name: string,
  flags: RegistryFlags,
): Promise<number> {
  await using session = await Session.open(context, flags);
  const reference = session.registries.expand(parseReference(name.replace(/^docker:\/\//, '')));
  const repository = await session.registries.repository(reference, session.call);
  const tags = await repository.tags(session.call);
  context.endProgress();
  if (context.json) context.out(JSON.stringify({ name: repository.name, tags }));
  else for (const tag of tags) context.out(tag);
  return 0;
}

export async function removeAction(
  context: CommandContext,
  names: readonly string[],
): Promise<number> {
  await using session = await Session.open(context);
  const removed: string[] = [];
  for (const name of names) {
    const whole = storeName(parseReference(name), session.registries);
    const there = (await session.store.list()).filter(
      (image) => image.name === whole || image.name === name || image.name.endsWith(`@${whole}`),
    );
    if (there.length === 0) {
      throw new OciError('OCI_NOT_FOUND', `Cannot remove ${name}: it is not on this computer`, {
        hint: 'anole image ls shows what is',
      });
    }
    for (const image of there) {
      if (await session.store.removeName(image.name)) removed.push(image.name);
    }
  }
  if (context.json) context.out(JSON.stringify({ removed }));
  else for (const name of removed) context.out(name);
  return 0;
}

export async function collectAction(
  context: CommandContext,
  flags: { readonly dryRun?: boolean },
): Promise<number> {
  const store = new ImageStore();
  const { signal } = context;
  const report = await store.collect({ signal, dryRun: flags.dryRun ?? false });
  if (context.json) context.out(JSON.stringify(report));
  else {
    const would = flags.dryRun ? 'would be ' : '';
    const { removed, freed, kept } = report;
    context.out(`${removed} ${would}removed, ${formatBytes(freed)} ${would}freed, ${kept} kept`);
  }
  return 0;
}
