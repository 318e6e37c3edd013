import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { cacheDirectory } from '@anole/host';
import { formatTrace, TraceRecorder } from '@anole/nydus/node';
import {
  BlobCache,
  BlobPool,
  findOnDemand,
  mountTraced,
  openOnDemand,
  placeBlobs,
} from '@anole/nydus/service';
import { parsePlatform } from '@anole/oci';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { platformHere, Session } from './session.ts';

interface TraceFlags {
  readonly output: string;
  readonly platform?: string;
}

/**
 * Mounts an image through FUSE, where each read passes by here, runs a command, and writes what was
 * read. The exit code is the command's.
 */
export async function traceAction(
  context: CommandContext,
  image: string,
  directory: string,
  command: readonly string[],
  flags: TraceFlags,
): Promise<number> {
  const [program, ...args] = command;
  if (program === undefined) throw usageError('Cannot trace without a command', 'image trace');
  await using session = await Session.open(context);
  const platform = flags.platform ? parsePlatform(flags.platform) : platformHere();
  const reference = await findOnDemand(image, platform, session, session.call);
  const pool = new BlobPool(new BlobCache(join(cacheDirectory(), 'blobs')));
  const opened = await openOnDemand(reference, placeBlobs(reference.name, session), pool);
  const recorder = new TraceRecorder();
  try {
    const mounted = await mountTraced(opened, resolve(directory), (read) => recorder.add(read));
    try {
      const child = spawn(program, args, { stdio: 'inherit', signal: context.signal });
      const [code] = (await once(child, 'close')) as [number | null];
      await writeFile(flags.output, formatTrace(recorder.trace));
      context.err(`${recorder.trace.length} reads in ${flags.output}`);
      return code ?? 1;
    } finally {
      await mounted.close();
    }
  } finally {
    await opened.close();
  }
}
