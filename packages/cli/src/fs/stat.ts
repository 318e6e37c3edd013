import type { ErofsNode, ImageInfo } from '@anole/erofs';
import type { CommandContext } from '../context.ts';
import { modeText, shown, statJson, timeText } from './format.ts';
import { type ImageFlags, OpenImage } from './image.ts';

export async function statAction(
  context: CommandContext,
  file: string,
  path: string | undefined,
  flags: ImageFlags,
): Promise<number> {
  await using image = await OpenImage.open(file, 'little', context.signal, flags);
  if (path === undefined) {
    const facts = imageFacts(image.tree.info, image.source.size);
    context.out(context.json ? JSON.stringify(facts, null, 2) : lines(facts));
    return 0;
  }
  const facts = await fileFacts(await image.find(path, false), path);
  context.out(context.json ? JSON.stringify(facts.json, null, 2) : lines(facts.text));
  return 0;
}

function imageFacts(info: ImageInfo, size: number): Record<string, unknown> {
  return {
    size,
    blockSize: info.blockSize,
    blocks: info.blocks,
    inodes: Number(info.inodes),
    uuid: uuidText(info.uuid),
    volumeName: info.volumeName,
    rootNid: info.rootNid,
    extraDevices: info.extraDevices,
    checksum: info.hasChecksum,
    featureCompat: `0x${info.featureCompat.toString(16)}`,
    featureIncompat: `0x${info.featureIncompat.toString(16)}`,
  };
}

async function fileFacts(node: ErofsNode, path: string) {
  const { stat } = node;
  const target = stat.type === 'symlink' ? await node.readLink() : undefined;
  const xattrs = Object.fromEntries(
    [...(await node.xattrs())].map(([name, value]) => [name, Buffer.from(value).toString('hex')]),
  );
  const json = {
    path,
    ...statJson(stat),
    nid: node.nid,
    ...(target !== undefined && { target }),
    layout: node.layout,
    xattrs,
  };
  const text: Record<string, unknown> = {
    path: shown(path),
    type: stat.type,
    mode: `${modeText(stat)} (${stat.mode.toString(8).padStart(4, '0')})`,
    owner: `${stat.uid}:${stat.gid}`,
    size: stat.size,
    links: stat.nlink,
    time: `${timeText(stat)}.${String(stat.mtime.nanoseconds).padStart(9, '0')} UTC`,
    inode: node.nid,
    layout: node.layout,
    ...(stat.rdev && { device: `${stat.rdev.major}:${stat.rdev.minor}` }),
    ...(target !== undefined && { target: shown(target) }),
  };
  for (const [name, value] of Object.entries(xattrs)) text[shown(name)] = `0x${value}`;
  return { json, text };
}

function lines(facts: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(facts);
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

function uuidText(uuid: Uint8Array): string {
  const hex = Buffer.from(uuid).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
