import { AnoleError } from '@anole/bytes';
import {
  type ErofsNode,
  type ErofsTree,
  type Group,
  type Inspection,
  inspectErofs,
  type Mapping,
  type StorageUsage,
  totalOf,
} from '@anole/erofs';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { formatBytes } from '../progress.ts';
import { shown } from './format.ts';
import { type ImageFlags, OpenImage } from './image.ts';

interface DumpFlags extends ImageFlags {
  readonly nid?: string;
  readonly top: string;
}

export async function dumpAction(
  context: CommandContext,
  file: string,
  path: string | undefined,
  flags: DumpFlags,
): Promise<number> {
  await using image = await OpenImage.open(file, 'much', context.signal, flags);
  if (path !== undefined || flags.nid !== undefined) {
    const node =
      path !== undefined ? await image.find(path, false) : await inodeOf(image, flags.nid!);
    await dumpExtents(context, node, path ?? `inode ${node.nid}`);
    return 0;
  }
  const inspection = await inspectErofs(image.tree, {
    signal: context.signal,
    onProgress: context.progress,
  });
  context.endProgress();
  if (context.json) context.out(JSON.stringify(json(inspection, image.tree), null, 2));
  else context.out(report(inspection, image, Number(flags.top)).join('\n'));
  return 0;
}

/** A wrong number is more likely than damage: what was found there is told, too. */
async function inodeOf({ tree }: OpenImage, text: string): Promise<ErofsNode> {
  const nid = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(nid)) {
    throw usageError(`Cannot look for inode ${text}: give its number`, 'fs dump');
  }
  try {
    return await tree.node(nid);
  } catch (error) {
    if (!AnoleError.is(error) || !error.code.startsWith('EROFS_')) throw error;
    const why = `no inode begins there, unless it is damaged (${error.message})`;
    throw usageError(`Cannot use --nid ${text}: ${why}`, 'fs dump');
  }
}

async function dumpExtents(context: CommandContext, node: ErofsNode, path: string): Promise<void> {
  const { size, type } = node.stat;
  const mappings: Mapping[] = [];
  for (let at = 0; at < size; at = mappings.at(-1)!.offset + mappings.at(-1)!.length) {
    context.signal.throwIfAborted();
    mappings.push(await node.mapping(at));
  }
  if (context.json) {
    const facts = { path, nid: node.nid, type, size, layout: node.layout, extents: mappings };
    context.out(JSON.stringify(facts, null, 2));
    return;
  }
  const stored = mappings.reduce((sum, mapping) => sum + mapping.size, 0);
  context.out(
    `${shown(path)}: ${type}, inode ${node.nid}, ${node.layout}, ` +
      `${size} bytes in ${stored} (${percent(stored, size)})`,
  );
  const columns = ['offset', 'length', 'where', 'start', 'stored', 'how'];
  const rows = mappings.map((mapping) => {
    const { offset, length, kind, device, start, size: bytes, algorithm, partial } = mapping;
    const where = kind === 'device' ? (device === 0 ? 'image' : `device ${device}`) : kind;
    const how = `${algorithm ?? (kind === 'hole' ? 'zeros' : 'plain')}${partial ? ', in part' : ''}`;
    return [offset, length, where, kind === 'hole' ? '' : start, bytes, how].map(String);
  });
  context.out(table([columns, ...rows]).join('\n'));
}

function json(inspection: Inspection, { info }: ErofsTree) {
  const { types, layouts, names, inodeBytes, extendedInodes, files, directories } = inspection;
  const { packed, top, extensions, sizes } = inspection;
  return {
    blockSize: info.blockSize,
    blocks: info.blocks,
    names,
    types,
    layouts,
    inodeBytes,
    extendedInodes,
    files,
    directories,
    packed,
    top: Object.fromEntries(top),
    extensions: Object.fromEntries(extensions),
    sizes,
  };
}

/** What people read: where the bytes go, the largest first. */
function report(inspection: Inspection, image: OpenImage, most: number): string[] {
  const { types, layouts, inodeBytes, directories, packed, files, top, extensions } = inspection;
  const total = totalOf(files);
  const data = total.stored + (packed?.stored ?? 0);
  const { size } = image.source;
  const rest = Math.max(0, size - data - directories.stored - inodeBytes);
  const counts = (values: object) =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  return [
    `${image.file}: ${formatBytes(size)}; files of ${formatBytes(total.bytes)} take ` +
      `${formatBytes(data)} (${percent(data, total.bytes)})`,
    `inodes: ${counts(types)}`,
    `layouts: ${counts(layouts)}`,
    '',
    ...table([
      ['part', 'bytes', 'of the image'],
      ...parts({ data, directories, inodeBytes, rest }).map(([name, bytes]) => [
        name,
        String(bytes),
        percent(bytes, size),
      ]),
    ]),
    '',
    ...table([
      ['stored', 'bytes of files', 'bytes stored', 'ratio', 'extents'],
      ...Object.entries(files).map(([name, usage]) => usageRow(name, usage)),
      ...(packed ? [usageRow('packed inode', packed)] : []),
    ]),
    '',
    ...groups('directory', top, most),
    '',
    ...groups('extension', extensions, most),
  ];
}

function parts(sizes: {
  data: number;
  directories: StorageUsage;
  inodeBytes: number;
  rest: number;
}): [string, number][] {
  return [
    ['data of files', sizes.data],
    ['directories', sizes.directories.stored],
    ['inodes and attributes', sizes.inodeBytes],
    ['indexes and padding', sizes.rest],
  ];
}

function usageRow(name: string, { bytes, stored, extents }: StorageUsage): string[] {
  return [name, String(bytes), String(stored), percent(stored, bytes), String(extents)];
}

function groups(title: string, all: ReadonlyMap<string, Group>, most: number): string[] {
  const sorted = [...all].sort(([, a], [, b]) => b.stored - a.stored).slice(0, most);
  return table([
    [title, 'files', 'bytes', 'bytes stored', 'ratio'],
    ...sorted.map(([name, { files, bytes, stored }]) => [
      shown(name) || '(none)',
      String(files),
      String(bytes),
      String(stored),
      percent(stored, bytes),
    ]),
  ]);
}

/** Columns as wide as their widest cell; words to the left, numbers to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const isNumber = /^[\d.]+ ?%?$/.test(rows[1]?.[column] ?? '');
        return isNumber ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!);
      })
      .join('  ')
      .trimEnd(),
  );
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`;
}
