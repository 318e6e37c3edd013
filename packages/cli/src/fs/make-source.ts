import { AnoleError } from '@anole/bytes';
import { type ExternalData, indexTar } from '@anole/erofs';
import { type FileSource, fileSource } from '@anole/host';
import { MemoryTree, overlay, type Tree, walk } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { compressedBy, MAGIC_SIZE } from './decompressor.ts';
import { type DeviceFlags, OpenImage } from './image.ts';
import { checkArchive } from './input.ts';
import { type OpenTree, openTree } from './open-tree.ts';

/** What says how the source of an image is read. */
export interface SourceFlags extends DeviceFlags {
  readonly output: string;
  readonly xattrs: boolean;
  /** `f`: the archive's files are copied; `i`: the image refers to them in the archive. */
  readonly tar?: string;
  /** `path`, or `none`: the order of an archive. */
  readonly sort?: string;
  /** `data` or nothing: the source is added to the image that is at `output`. */
  readonly incremental?: string | true;
  readonly clean?: string | true;
}

/** A tree to make an image of; with data that stay where they are, where that is. */
export interface MakeSource extends OpenTree {
  readonly external?: ExternalData;
  /** The image that the source is added to. */
  readonly base?: OpenImage;
  /** Paths of files in the order that their data are to have. */
  readonly first?: readonly string[];
}

/** Opens the source of an image, and what it is added to. */
export async function openMakeSource(
  name: string,
  flags: SourceFlags,
  context: CommandContext,
): Promise<MakeSource> {
  const { sort = 'path', incremental, clean, output, tar } = flags;
  checkMode('--incremental', incremental);
  checkMode('--clean', clean);
  if (sort !== 'path' && sort !== 'none') {
    throw usageError(`Cannot use --sort ${sort}: give path or none`, 'fs mk');
  }
  if (incremental && (output === '-' || tar === 'i')) {
    throw usageError('Cannot use --incremental here: give -o an image, and no --tar i', 'fs mk');
  }
  await using opening = new AsyncDisposableStack();
  const source = opening.use(await openSource(name, flags, context));
  const first = sort === 'none' ? await archiveOrder(source.tree) : undefined;
  const base = incremental && opening.use(await OpenImage.open(output, 'much', context.signal));
  const opened = opening.move();
  return {
    tree: base ? overlay([base.tree, source.tree]) : source.tree,
    ...(source.external && { external: source.external }),
    ...(base && { base }),
    ...(first && { first }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function checkMode(option: string, mode: string | true | undefined): void {
  if (mode === undefined || mode === true || mode === 'data') return;
  throw usageError(`Cannot use ${option}=${mode}: data are always stored, give data`, 'fs mk');
}

/** Paths of the files of an archive, the first member's first. */
async function archiveOrder(tree: Tree): Promise<readonly string[]> {
  if (!(tree instanceof MemoryTree)) {
    throw usageError('Cannot use --sort none here: only archives have an order', 'fs mk');
  }
  const files: { readonly path: string; readonly ino: number }[] = [];
  for await (const { path, node, linkTo } of walk(tree)) {
    // Inodes are numbered as members make them.
    const { type, ino } = node.stat;
    if (type === 'file' && linkTo === undefined) files.push({ path, ino });
  }
  return files.sort((a, b) => a.ino - b.ino).map(({ path }) => path);
}

async function openSource(
  name: string,
  flags: SourceFlags,
  context: CommandContext,
): Promise<MakeSource> {
  const { tar = 'f' } = flags;
  if (tar === 'f') return await openTree(name, context, flags);
  if (tar !== 'i') throw usageError(`Cannot use --tar ${tar}: give f or i`, 'fs mk');
  if (name === '-') {
    throw usageError('Cannot refer to an archive on standard input: give a file', 'fs mk');
  }
  const source = fileSource(name);
  try {
    const { signal } = context;
    checkArchive(source, name);
    checkPlain(source, name);
    return {
      ...(await indexTar(source, { signal })),
      async [Symbol.asyncDispose]() {
        source.close();
      },
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** An image can refer to bytes of the archive alone. */
function checkPlain(source: FileSource, name: string): void {
  const program = compressedBy(source.read(0, Math.min(MAGIC_SIZE, source.size)));
  if (program === undefined) return;
  throw new AnoleError(
    'CLI_COMPRESSION',
    `Cannot refer to data in ${name}: ${program} compressed it`,
    {
      hint: `decompress it first (${program} -d), or leave --tar i out: then data are copied`,
    },
  );
}
