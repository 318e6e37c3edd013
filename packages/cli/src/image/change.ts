import { tmpdir } from 'node:os';
import type { Image, ImageWriter, Origin } from '@anole/oci';
import {
  type ChangeOptions,
  type ConfigChange,
  changeImage,
  type WrittenLayer,
  writeLayer,
} from '@anole/oci/node';
import { type Tree, writeTar } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { openTree } from '../fs/open-tree.ts';
import { type PlatformFlags, type RegistryFlags, Session } from './session.ts';

export interface ConfigFlags extends RegistryFlags, PlatformFlags {
  readonly env?: readonly string[];
  readonly label?: readonly string[];
  readonly entrypoint?: string;
  readonly cmd?: string;
  readonly workdir?: string;
  readonly user?: string;
  readonly stopSignal?: string;
}

export async function configAction(
  context: CommandContext,
  source: string,
  destination: string,
  flags: ConfigFlags,
): Promise<number> {
  const config = changeOf(flags);
  if (Object.keys(config).length === 0) {
    throw usageError('Cannot change the configuration: nothing to change is given', 'image config');
  }
  await using session = await Session.open(context, flags);
  const image = await session.image(source, flags);
  await using to = await session.writer(destination);
  await copyLayers(image, to.writer, session);
  const options = { ...session.call, config, createdBy: 'anole image config' };
  return finish(context, session, image, to, options, destination);
}

export async function appendAction(
  context: CommandContext,
  source: string,
  layers: readonly string[],
  flags: ConfigFlags & { readonly to: string },
): Promise<number> {
  await using session = await Session.open(context, flags);
  const image = await session.image(source, flags);
  await using to = await session.writer(flags.to);
  await copyLayers(image, to.writer, session);
  const written: WrittenLayer[] = [];
  for (const layer of layers) {
    await using opened = await openTree(layer, context);
    written.push(await writeTreeLayer(opened.tree, to.writer, session));
  }
  const createdBy = `anole image append ${layers.join(' ')}`;
  const options = { ...session.call, layers: written, config: changeOf(flags), createdBy };
  return finish(context, session, image, to, options, flags.to);
}

function writeTreeLayer(tree: Tree, to: ImageWriter, { call }: Session): Promise<WrittenLayer> {
  const tar = writeTar(tree, { ...call, prefix: '', filter: (path) => path !== '' });
  return writeLayer(tar, to, { ...call, scratch: tmpdir() });
}

async function finish(
  context: CommandContext,
  session: Session,
  image: Image,
  to: { readonly writer: ImageWriter; readonly tag: string | undefined },
  options: ChangeOptions,
  name: string,
): Promise<number> {
  const { digest } = await changeImage(image, to.writer, to.tag, options);
  await to.writer.finish?.(session.call);
  context.endProgress();
  context.out(context.json ? JSON.stringify({ name, digest }) : `${name}@${digest}`);
  return 0;
}

/** What stays of an image goes to where the changed one will be. */
export async function copyLayers(
  { reader, manifest }: Image,
  to: ImageWriter,
  { call }: Session,
): Promise<void> {
  const origins: readonly Origin[] = reader.origin ? [reader.origin] : [];
  for (const layer of manifest.layers) {
    if (await to.has(layer, call)) continue;
    const open = (start: number) => reader.blob(layer, { ...call, start });
    await to.putBlob(layer, open, { ...call, origins });
  }
}

export function changeOf(flags: ConfigFlags): ConfigChange {
  const { env, label, entrypoint, cmd, workdir, user, stopSignal } = flags;
  return {
    ...(env && { env: pairsOf(env, 'variable') }),
    ...(label && { labels: pairsOf(label, 'label') }),
    ...(entrypoint !== undefined && { entrypoint: wordsOf(entrypoint) }),
    ...(cmd !== undefined && { cmd: wordsOf(cmd) }),
    ...(workdir !== undefined && { workingDirectory: workdir }),
    ...(user !== undefined && { user }),
    ...(stopSignal !== undefined && { stopSignal }),
  };
}

function pairsOf(settings: readonly string[], what: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const setting of settings) {
    const equals = setting.indexOf('=');
    if (equals <= 0)
      throw usageError(`Cannot set the ${what} ${setting}: give NAME=value`, 'image config');
    pairs[setting.slice(0, equals)] = setting.slice(equals + 1);
  }
  return pairs;
}

/** A JSON list of words; or a command line for the shell; nothing for an empty text. */
function wordsOf(text: string): readonly string[] {
  if (text.trim() === '') return [];
  if (!text.trimStart().startsWith('[')) return ['/bin/sh', '-c', text];
  try {
    const words: unknown = JSON.parse(text);
    if (Array.isArray(words) && words.every((word) => typeof word === 'string')) return words;
  } catch {
    // Told below.
  }
  throw usageError(
    `Cannot read ${text}: give a JSON list of words, or a command line`,
    'image config',
  );
}
