import { once } from 'node:events';
import { isPromise } from '@anole/bytes';
import { type Stat, type TreeNode, VfsError } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { modeText, shown, statJson, timeText } from './format.ts';
import { type ImageFlags, OpenImage } from './image.ts';

interface ListFlags extends ImageFlags {
  readonly long?: boolean;
  readonly recursive?: boolean;
}

interface Row {
  readonly path: string;
  readonly name: string;
  readonly stat: Stat;
  readonly target?: string;
  readonly node: TreeNode;
}

export async function listAction(
  context: CommandContext,
  file: string,
  path: string,
  flags: ListFlags,
): Promise<number> {
  await using image = await OpenImage.open(file, 'little', context.signal, flags);
  // `ls -l link` shows the link, `ls link` what it leads to, as ls(1) has it.
  const node = await image.find(path, flags.long !== true || path.endsWith('/'));
  const listing = new Listing(context, flags);
  if (node.stat.type === 'directory') await listing.directory(node, path);
  else listing.rows([await rowOf(node, path, path)]);
  listing.end();
  return 0;
}

class Listing {
  private readonly context: CommandContext;
  private readonly flags: ListFlags;
  private readonly collected: Record<string, unknown>[] = [];
  private headings = 0;

  constructor(context: CommandContext, flags: ListFlags) {
    this.context = context;
    this.flags = flags;
  }

  async directory(top: TreeNode, path: string): Promise<void> {
    const pending = [{ node: top, path }];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      this.context.signal.throwIfAborted();
      const rows = await rowsOf(next.node, next.path);
      if (this.flags.recursive) this.heading(next.path);
      this.rows(rows);
      if (!this.flags.recursive) return;
      const below = rows.filter(({ stat }) => stat.type === 'directory');
      for (const row of below.reverse()) pending.push(row);
    }
  }

  rows(rows: readonly Row[]): void {
    if (this.context.json) {
      for (const row of rows) this.collected.push(rowJson(row));
      return;
    }
    const lines = this.flags.long ? longLines(rows) : rows.map(({ name }) => shown(name));
    if (lines.length > 0) this.context.out(lines.join('\n'));
  }

  end(): void {
    if (this.context.json) this.context.out(JSON.stringify(this.collected, null, 2));
  }

  private heading(path: string): void {
    if (this.context.json) return;
    this.context.out(`${this.headings++ > 0 ? '\n' : ''}${shown(path)}:`);
  }
}

async function rowsOf(directory: TreeNode, path: string): Promise<Row[]> {
  const rows: Row[] = [];
  const prefix = path.endsWith('/') ? path : `${path}/`;
  for (const { name } of await directory.list()) {
    const found = directory.lookup(name);
    const node = isPromise(found) ? await found : found;
    if (node) rows.push(await rowOf(node, name, prefix + name));
  }
  return rows;
}

async function rowOf(node: TreeNode, name: string, path: string): Promise<Row> {
  const { stat } = node;
  const row = { path, name, stat, node };
  return stat.type === 'symlink' ? { ...row, target: await node.readLink() } : row;
}

function rowJson({ path, name, stat, target }: Row): Record<string, unknown> {
  return { path, name, ...statJson(stat), ...(target !== undefined && { target }) };
}

/** Columns as wide as their widest value. */
function longLines(rows: readonly Row[]): string[] {
  const cells = rows.map(({ stat, name, target }) => [
    modeText(stat),
    String(stat.nlink),
    String(stat.uid),
    String(stat.gid),
    stat.rdev ? `${stat.rdev.major}, ${stat.rdev.minor}` : String(stat.size),
    timeText(stat),
    shown(name) + (target === undefined ? '' : ` -> ${shown(target)}`),
  ]);
  const widths = [0, 1, 2, 3, 4, 5].map((column) =>
    cells.reduce((width, row) => Math.max(width, row[column]!.length), 0),
  );
  return cells.map((row) =>
    row.map((cell, column) => (column === 6 ? cell : cell.padStart(widths[column]!))).join(' '),
  );
}

/** Bytes of a file handed on at once. */
const CHUNK = 1024 * 1024;

export async function catAction(
  context: CommandContext,
  file: string,
  paths: readonly string[],
  flags: ImageFlags,
): Promise<number> {
  await using image = await OpenImage.open(file, 'little', context.signal, flags);
  for (const path of paths) {
    const node = await image.find(path, true);
    const { type, size } = node.stat;
    if (type !== 'file') {
      const code = type === 'directory' ? 'VFS_IS_DIRECTORY' : 'VFS_NOT_FILE';
      throw new VfsError(code, `Cannot print ${path} of ${file}: it is a ${type}`, {
        details: { path, type },
      });
    }
    for (let at = 0; at < size; at += CHUNK) {
      context.signal.throwIfAborted();
      // Copied: the stream may keep it while the next part is read.
      const bytes = (await node.read(at, CHUNK)).slice();
      if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
    }
  }
  return 0;
}
