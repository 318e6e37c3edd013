import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { AnoleError } from '@anole/bytes';
import { cacheDirectory, createFileAtomically, hostError } from '@anole/host';
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
import type { Tree } from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { ownCommand } from './service-client.ts';
import { platformHere, Session } from './session.ts';
import { openContainer } from './tree.ts';

interface TraceFlags {
  readonly output: string;
  readonly platform?: string;
}

/**
 * Mounts an image through FUSE, where each read passes by here, runs a command, and writes what was
 * read. The exit code is the command's. Without root, all of it is done in a user name space, whose root may
 * mount.
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
  if (process.geteuid?.() !== 0) return await againAsRoot(context);
  await using resources = new AsyncDisposableStack();
  const tree = await openTree(image, context, flags, resources);
  const recorder = new TraceRecorder();
  const mounted = await mountTraced(tree, resolve(directory), (read) => recorder.add(read));
  try {
    let code: number | null = null;
    // Opened before the command runs: a place that cannot be written to must not cost a run.
    await createFileAtomically(flags.output, async (file) => {
      const child = spawn(program, args, { stdio: 'inherit', signal: context.signal });
      [code] = (await once(child, 'close')) as [number | null];
      await file.writeFile(formatTrace(recorder.trace));
    });
    context.err(`${recorder.trace.length} reads in ${flags.output}`);
    return code ?? 1;
  } finally {
    await mounted.close();
  }
}

/** Runs this command once more, as root of a name space of its own. */
async function againAsRoot({ signal }: CommandContext): Promise<number> {
  const names = ['--user', '--map-root-user', '--mount', '--'];
  const words = [...names, ...ownCommand(...process.argv.slice(2))];
  const child = spawn('unshare', words, { stdio: 'inherit', signal });
  const [code] = (await once(child, 'close').catch((error: unknown) => {
    throw hostError(error, 'make a user name space: mounting needs root');
  })) as [number | null];
  return code ?? 1;
}

/** Opens an image's files: on demand, or, where it was not converted, as they are in its layers. */
async function openTree(
  image: string,
  context: CommandContext,
  { platform }: TraceFlags,
  resources: AsyncDisposableStack,
): Promise<Tree> {
  const session = resources.use(await Session.open(context));
  const wanted = platform ? parsePlatform(platform) : platformHere();
  try {
    const reference = await findOnDemand(image, wanted, session, session.call);
    const pool = new BlobPool(new BlobCache(join(cacheDirectory(), 'blobs')));
    const opened = await openOnDemand(reference, placeBlobs(reference.name, session), pool);
    resources.defer(() => opened.close());
    return opened.tree;
  } catch (error) {
    if (!AnoleError.is(error) || error.code !== 'OCI_UNSUPPORTED') throw error;
    const flags = platform === undefined ? {} : { platform };
    return resources.use(await openContainer(image, context, flags)).tree;
  }
}
