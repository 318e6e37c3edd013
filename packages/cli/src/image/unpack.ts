import { dirname, resolve } from 'node:path';
import { checkGoal, unpackTree } from '@anole/host';
import type { CommandContext } from '../context.ts';
import { shown } from '../fs/format.ts';
import type { PlatformFlags, RegistryFlags } from './session.ts';
import { openWhole } from './tree.ts';

interface UnpackFlags extends RegistryFlags, PlatformFlags {
  readonly owners: boolean;
  readonly xattrs: boolean;
}

export async function unpackAction(
  context: CommandContext,
  name: string,
  directory: string,
  flags: UnpackFlags,
): Promise<number> {
  checkGoal(directory);
  // Beside the goal, where there must be room for the files, too.
  const scratch = dirname(resolve(directory));
  await using opened = await openWhole(name, context, flags, scratch);
  const { signal, progress: onProgress } = context;
  const report = await unpackTree(opened.tree, directory, {
    signal,
    onProgress,
    xattrs: flags.xattrs,
    ...(!flags.owners && { owners: false }),
  });
  context.endProgress();
  if (context.json) {
    const { digest } = opened.image.descriptor;
    context.out(JSON.stringify({ directory, digest, ...report }, null, 2));
    return 0;
  }
  for (const { path, reason } of report.skipped) {
    context.err(`left out: ${shown(path)}: ${reason}`);
  }
  context.out(`${directory}: ${report.entries} entries, ${report.bytes} bytes`);
  return 0;
}
