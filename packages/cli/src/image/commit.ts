import { tmpdir } from 'node:os';
import {
  type Image,
  type ImageWriter,
  layerCompression,
  OciError,
  openImage,
  parsePlatform,
} from '@anole/oci';
import { type ChangedImage, changeImage, writeLayer } from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { ask } from '../daemon/client.ts';
import { kind } from '../daemon/frames.ts';
import type { SandboxOrigin } from '../daemon/messages.ts';
import { Queue } from '../queue.ts';
import { type ConfigFlags, changeOf, copyLayers } from './change.ts';
import { Session } from './session.ts';

const platform = parsePlatform('linux/riscv64');

/** Makes an image of a sandbox: what it was made of, with what was changed as a layer upon it. */
export async function commitAction(
  context: CommandContext,
  name: string,
  destination: string,
  flags: ConfigFlags,
): Promise<number> {
  await using session = await Session.open(context, flags);
  await using to = await session.writer(destination);
  const { archive, origin } = archiveOf(name);
  const layer = await writeLayer(archive, to.writer, { ...session.call, scratch: tmpdir() });
  const made = await origin;
  const { digest } = await changeImage(await baseOf(made, session, to.writer), to.writer, to.tag, {
    ...session.call,
    layers: [layer],
    config: changeOf(flags),
    createdBy: `anole image commit ${name}`,
    created: new Date().toISOString(),
  });
  await to.writer.finish?.(session.call);
  context.endProgress();
  const { size } = layer.layer;
  if (context.json)
    context.out(JSON.stringify({ name: destination, digest, layer: layer.layer.digest, size }));
  else context.out(`${destination}@${digest}`);
  return 0;
}

/** What the daemon sends of a sandbox; the archive breaks off where it cannot. */
function archiveOf(name: string) {
  const frames = new Queue<Uint8Array>();
  const origin = ask<SandboxOrigin>(
    { verb: 'archive', name },
    {
      onFrame: (frame) =>
        frame.kind === kind.data ? frames.push(frame.payload.slice()) : undefined,
    },
  ).finally(() => frames.end());
  // Raised where the archive is read.
  origin.catch(() => {});
  async function* archive(): AsyncGenerator<Uint8Array> {
    yield* frames;
    await origin;
  }
  return { archive: archive(), origin };
}

/** The image that a sandbox was made of, with its layers at the target; a new one where it was none. */
async function baseOf(
  { image: name, digest, env }: SandboxOrigin,
  session: Session,
  to: ImageWriter,
): Promise<ChangedImage> {
  if (digest === undefined) {
    const { os, architecture } = platform;
    const Env = Object.entries(env).map(([key, value]) => `${key}=${value}`);
    return { manifest: { layers: [] }, config: { raw: { os, architecture, config: { Env } } } };
  }
  const image = await findBase(name, digest, session);
  await copyLayers(image, to, session);
  return image;
}

async function findBase(name: string, digest: string, session: Session): Promise<Image> {
  const { reader, selector } = await session.reader(name);
  const now = await reader.resolve(selector, session.call);
  // Its name may stand for another image by now.
  const root = now.digest === digest ? now : await reader.resolve(digest, session.call);
  const image = await openImage(reader, root, platform, session.call);
  const isTar = image.manifest.layers.every(({ mediaType }) => layerCompression(mediaType));
  if (isTar) return image;
  throw new OciError(
    'OCI_UNSUPPORTED',
    `Cannot put a layer upon ${name}: it is there as EROFS only`,
  );
}
