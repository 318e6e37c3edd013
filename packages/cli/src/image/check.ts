import { tmpdir } from 'node:os';
import { AnoleError } from '@anole/bytes';
import { checkRafs } from '@anole/nydus';
import { bootstrapLayer, type ImageMap, mappedTree } from '@anole/nydus/node';
import {
  type Descriptor,
  fitness,
  formatPlatform,
  type Image,
  type ImageReader,
  type Platform,
  parsePlatform,
  readGraph,
} from '@anole/oci';
import {
  checkImage,
  checkImageIndex,
  findIndexes,
  type ImageFinding,
  imageTree,
} from '@anole/oci/node';
import { describeDifferences, type Tree } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { shown } from '../fs/format.ts';
import { formatBytes } from '../progress.ts';
import { type PlatformFlags, type RegistryFlags, Session } from './session.ts';
import { anyMap, noIndex, openRafsImage } from './tree.ts';

/** 0 where the image is sound, 1 where it is not, 2 where it cannot be looked at. */
export async function checkAction(
  context: CommandContext,
  name: string,
  flags: RegistryFlags & PlatformFlags & { readonly index?: boolean },
): Promise<number> {
  if (flags.index) return checkIndexAction(context, name, flags);
  await using session = await Session.open(context, flags);
  const { reader, selector } = await session.reader(name);
  const root = await reader.resolve(selector, session.call);
  const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform);
  const report = await checkImage(reader, root, {
    ...session.call,
    ...(platform && {
      wanted: (each) => each.platform === undefined || fitness(each.platform, platform) > 0,
    }),
  });
  const findings = [...report.findings, ...(await checkVariants(reader, root, platform, session))];
  context.endProgress();
  const { manifests, blobs, bytes } = report;
  const facts = { name, digest: root.digest, ...report, findings };
  if (context.json) context.out(JSON.stringify(facts, null, 2));
  else {
    for (const { code, message, digest, platform: of } of findings) {
      const where = of === undefined ? digest : `${digest} (${of})`;
      context.out(`${where}: ${code}: ${shown(message)}`);
    }
    const verdict = findings.length === 0 ? 'sound' : `${findings.length} findings`;
    context.err(`${manifests} manifests, ${blobs} blobs, ${formatBytes(bytes)}: ${verdict}`);
  }
  return findings.length === 0 ? 0 : 1;
}

/** Images of Nydus, down to their chunks. */
async function checkVariants(
  reader: ImageReader,
  root: Descriptor,
  platform: Platform | undefined,
  { call }: Session,
): Promise<readonly ImageFinding[]> {
  const findings: ImageFinding[] = [];
  for (const { content, descriptor } of await readGraph(reader, root, call)) {
    if (content.kind === 'index' || bootstrapLayer(content.layers) === undefined) continue;
    const of = descriptor.platform;
    if (platform && of && fitness(of, platform) === 0) continue;
    await using resources = new AsyncDisposableStack();
    const { image, bootstrap } = await openRafsImage(
      { manifest: content, reader },
      call,
      resources,
    );
    for (const { code, message } of (await checkRafs(image, bootstrap, call)).findings) {
      const { digest } = descriptor;
      findings.push({ code, message, digest, ...(of && { platform: formatPlatform(of) }) });
    }
  }
  return findings;
}

/** Reads all files of an image through its index as EROFS, and compares them with those of its layers. */
async function checkMap(
  image: Image,
  map: ImageMap,
  { call }: Session,
): Promise<readonly ImageFinding[]> {
  await using trees = new AsyncDisposableStack();
  const close = (tree: Tree) => tree.close?.();
  const { digest } = map.names;
  try {
    const whole = trees.adopt(await imageTree(image, { ...call, scratch: tmpdir() }), close);
    const mapped = trees.adopt(await mappedTree(image, map, call), close);
    const differences = await describeDifferences(mapped, whole);
    if (differences === '') return [];
    const message = `Cannot trust the index of an image: ${differences.split('\n')[0]}`;
    return [{ code: 'OCI_WRONG_CONTENT', message, digest }];
  } catch (error) {
    call.signal?.throwIfAborted();
    if (!AnoleError.is(error)) throw error;
    return [{ code: error.code, message: error.message, digest }];
  }
}

/** Reads each layer of an image through its index. */
async function checkIndexAction(
  context: CommandContext,
  name: string,
  flags: RegistryFlags & PlatformFlags,
): Promise<number> {
  await using session = await Session.open(context, flags);
  const image = await session.image(name, flags);
  const find = await findIndexes(image, session.call);
  const map = await anyMap(image, session.call);
  if (find === undefined && map === undefined) throw noIndex(image);
  const none = { findings: [], layers: 0, bytes: 0 };
  const checked = find ? await checkImageIndex(image, find, session.call) : none;
  const { layers: all } = image.manifest;
  const findings = [...checked.findings, ...(map ? await checkMap(image, map, session) : [])];
  const layers = map ? all.length : checked.layers;
  const bytes = map ? all.reduce((sum, { size }) => sum + size, 0) : checked.bytes;
  context.endProgress();
  if (context.json) {
    context.out(JSON.stringify({ name, layers, bytes, findings }, null, 2));
  } else {
    for (const { code, message, digest } of findings) {
      context.out(`${digest}: ${code}: ${shown(message)}`);
    }
    const verdict = findings.length === 0 ? 'sound' : `${findings.length} findings`;
    context.err(`${layers} layers through their index, ${formatBytes(bytes)}: ${verdict}`);
  }
  return findings.length === 0 ? 0 : 1;
}
