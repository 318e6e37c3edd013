import { dirname, resolve } from 'node:path';
import { unpackTree } from '@anole/host';
import { imageTree } from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { shown } from '../fs/format.ts';
import { type PlatformFlags, type RegistryFlags, Session } from './session.ts';

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
  await using session = await Session.open(context, flags);
  const image = await session.image(name, flags);
  const scratch = dirname(resolve(directory));
  const tree = await imageTree(image, { ...session.call, scratch });
  try {
    const report = await unpackTree(tree, directory, {
      ...session.call,
      xattrs: flags.xattrs,
      ...(!flags.owners && { owners: false }),
    });
    context.endProgress();
    if (context.json) {
      context.out(
        JSON.stringify({ directory, digest: image.descriptor.digest, ...report }, null, 2),
      );
      return 0;
    }
    for (const { path, reason } of report.skipped) {
      context.err(`left out: ${shown(path)}: ${reason}`);
    }
    context.out(`${directory}: ${report.entries} entries, ${report.bytes} bytes`);
    return 0;
  } finally {
    await tree.close?.();
  }
}
