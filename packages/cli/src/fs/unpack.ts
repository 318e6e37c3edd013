import { unpackTree } from '@anole/host';
import { type TreeNode, VfsError } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { optimizeLate } from '../optimize-late.ts';
import { shown } from './format.ts';
import { type ImageFlags, isUrl, OpenImage } from './image.ts';
import { UnpackThreads } from './unpack-threads.ts';

/** Images from so many bytes on are worth starting threads for. */
const FOR_THREADS = 64 * 1024 * 1024;

interface UnpackFlags extends ImageFlags {
  readonly owners: boolean;
  readonly xattrs: boolean;
  readonly path?: string;
}

export async function unpackAction(
  context: CommandContext,
  file: string,
  directory: string,
  flags: UnpackFlags,
): Promise<number> {
  optimizeLate();
  // All is gone through once, and what is read is written at once.
  const options = { reuseMemory: true };
  await using image = await OpenImage.open(file, 'much', context.signal, flags, options);
  await using threads = worthThreads(image, flags)
    ? new UnpackThreads(file, image.tree, context.signal)
    : undefined;
  const root = flags.path === undefined ? image.tree.root : await directoryOf(image, flags.path);
  const report = await unpackTree({ root }, directory, {
    ...(threads && { elsewhere: threads }),
    signal: context.signal,
    onProgress: context.progress,
    xattrs: flags.xattrs,
    // Unless told not to, as root: the default of unpackTree.
    ...(!flags.owners && { owners: false }),
  });
  if (context.json) {
    context.out(JSON.stringify({ directory, ...report }, null, 2));
    return 0;
  }
  for (const { path, reason } of report.skipped) {
    context.err(`left out: ${shown(path)}: ${reason}`);
  }
  context.out(`${directory}: ${report.entries} entries, ${report.bytes} bytes`);
  return 0;
}

async function directoryOf(image: OpenImage, path: string): Promise<TreeNode> {
  const node = await image.find(path, true);
  if (node.stat.type === 'directory') return node;
  throw new VfsError('VFS_NOT_DIRECTORY', `Cannot unpack ${path}: it is a ${node.stat.type}`, {
    hint: `anole fs cat ${image.file} ${path}`,
  });
}

function worthThreads({ file, source, tree }: OpenImage, { offset }: ImageFlags): boolean {
  const isAlone = tree.devices.length === 0 && offset === undefined;
  return isAlone && !isUrl(file) && source.size >= FOR_THREADS;
}
