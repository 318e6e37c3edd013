import { type ErofsNode, type StorageUsage, totalOf, UsageMeter } from '@anole/erofs';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { formatBytes } from '../progress.ts';
import { shown } from './format.ts';
import { type ImageFlags, OpenImage } from './image.ts';

interface DuFlags extends ImageFlags {
  readonly all?: boolean;
  readonly summarize?: boolean;
  readonly depth?: string;
  readonly bytes?: boolean;
}

interface Row {
  readonly path: string;
  readonly depth: number;
  readonly isDirectory: boolean;
  stored: number;
  bytes: number;
  files: number;
}

export async function duAction(
  context: CommandContext,
  file: string,
  path: string,
  flags: DuFlags,
): Promise<number> {
  const depth = flags.summarize ? 0 : Number(flags.depth ?? Number.POSITIVE_INFINITY);
  if (Number.isNaN(depth) || depth < 0) {
    throw usageError(`Cannot go ${flags.depth} levels deep: give a number`, 'fs du');
  }
  await using image = await OpenImage.open(file, 'much', context.signal, flags);
  const measuring = new Measuring(context, new UsageMeter(image.tree), flags.all ?? false, depth);
  const top = await image.find(path, true);
  await measuring.node(top, path === '/' ? '/' : path.replace(/\/+$/, ''), 0);
  context.endProgress();
  if (context.json) context.out(JSON.stringify(measuring.rows, null, 2));
  else for (const row of measuring.rows) context.out(line(row, flags.bytes ?? false));
  return 0;
}

/** Sums up directories from below; memory grows with what is shown. */
class Measuring {
  readonly rows: Row[] = [];
  private readonly context: CommandContext;
  private readonly meter: UsageMeter;
  private readonly all: boolean;
  private readonly depth: number;
  private readonly linked = new Set<number>();
  private done = 0;

  constructor(context: CommandContext, meter: UsageMeter, all: boolean, depth: number) {
    this.context = context;
    this.meter = meter;
    this.all = all;
    this.depth = depth;
  }

  async node(node: ErofsNode, path: string, depth: number): Promise<Row> {
    this.context.signal.throwIfAborted();
    this.context.progress({ step: 'measure', done: ++this.done, unit: 'items' });
    const { type, nlink, ino } = node.stat;
    const isDirectory = type === 'directory';
    const row: Row = { path, depth, isDirectory, stored: 0, bytes: 0, files: 0 };
    const isCounted = isDirectory || nlink < 2 || !this.linked.has(ino);
    if (isCounted) {
      if (!isDirectory && nlink > 1) this.linked.add(ino);
      add(row, totalOf(await this.meter.measure(node)), node.metadataSize, type === 'file');
    }
    if (isDirectory) await this.below(node, row);
    const isShown = depth <= this.depth && (isDirectory || this.all || depth === 0);
    if (isShown) this.rows.push(row);
    return row;
  }

  private async below(directory: ErofsNode, row: Row): Promise<void> {
    const prefix = row.path.endsWith('/') ? row.path : `${row.path}/`;
    for (const { name } of await directory.list()) {
      const child = await directory.lookup(name);
      if (child === undefined) continue;
      const { stored, bytes, files } = await this.node(child, prefix + name, row.depth + 1);
      row.stored += stored;
      row.bytes += bytes;
      row.files += files;
    }
  }
}

function add(row: Row, { bytes, stored }: StorageUsage, metadata: number, isFile: boolean): void {
  row.stored += stored + metadata;
  if (isFile) {
    row.bytes += bytes;
    row.files++;
  }
}

function line({ path, stored, bytes }: Row, exact: boolean): string {
  const number = (value: number) => (exact ? String(value) : formatBytes(value)).padStart(10);
  const name = path === '' ? '/' : path;
  return `${number(stored)} ${number(bytes)}  ${shown(name)}`;
}
