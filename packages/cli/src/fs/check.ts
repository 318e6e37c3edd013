import { createHash } from 'node:crypto';
import { checkErofs, type Finding } from '@anole/erofs';
import { hostDecoders } from '@anole/host';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { formatBytes } from '../progress.ts';
import { shown } from './format.ts';
import { type ImageFlags, openDevices, openImageSource, openSource } from './image.ts';

interface CheckFlags extends ImageFlags {
  readonly data: boolean;
  readonly strict?: boolean;
  readonly xattrInodeDigest?: boolean;
  readonly limit: string;
}

/** 0 where the image is sound, 1 where it is not; what cannot be checked raises. */
export async function checkAction(
  context: CommandContext,
  file: string,
  flags: CheckFlags,
): Promise<number> {
  const limit = Number(flags.limit);
  if (!Number.isInteger(limit) || limit < 0) {
    throw usageError(`Cannot show ${flags.limit} findings: give a number`, 'fs check');
  }
  await using resources = new AsyncDisposableStack();
  const { signal } = context;
  const source = resources.use(await openImageSource(file, 'much', signal, flags));
  const devices = await openDevices(file, source, flags, async (name) =>
    resources.use(await openSource(name, 'much', signal)),
  );
  let told = 0;
  const report = await checkErofs(source, {
    signal,
    onProgress: context.progress,
    decoders: hostDecoders,
    devices,
    data: flags.data,
    limit,
    ...(flags.xattrInodeDigest && { sha256: () => createHash('sha256') }),
    ...(!context.json && {
      onFinding(finding: Finding) {
        if (told++ < limit) context.out(describe(finding));
      },
    }),
  });
  context.endProgress();
  const { errors, warnings, inodes, blocks } = report;
  if (context.json) context.out(JSON.stringify({ image: file, ...report }, null, 2));
  else {
    if (told > limit) context.out(`and ${told - limit} more`);
    const used = formatBytes(source.size);
    const verdict = errors > 0 ? 'damaged' : warnings > 0 ? 'sound, with warnings' : 'sound';
    context.out(
      `${file}: ${verdict}: ${errors} errors, ${warnings} warnings; ${inodes} inodes, ` +
        `${blocks.metadata} + ${blocks.data} blocks of metadata and data, ${used}`,
    );
  }
  return errors > 0 || (flags.strict && warnings > 0) ? 1 : 0;
}

function describe({ severity, code, message, meaning, path, nid, offset }: Finding): string {
  const where = [
    path !== undefined && shown(path),
    nid !== undefined && `inode ${nid}`,
    offset !== undefined && `byte ${offset}`,
  ].filter((part) => part !== false);
  return `${severity}: ${where.join(', ')}: ${message}\n  ${code}: ${meaning}`;
}
