import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { acquireLock, HostError, type Lock, withLock } from '@anole/host';

const PREFIX = '.anole-layer-';

/** A directory that goes when it is disposed of. */
export interface StagingDirectory extends AsyncDisposable {
  readonly path: string;
}

/**
 * Makes a directory for layers that wait. In a target's own workspace those that killed processes have left are
 * removed: each is locked while its process lives, and the lock of the layout is held by who makes one or looks.
 */
export async function stagingDirectory(
  workspace: string | undefined,
  scratch: string,
): Promise<StagingDirectory> {
  if (workspace === undefined) {
    await mkdir(scratch, { recursive: true });
    return directoryAt(await mkdtemp(join(scratch, PREFIX)));
  }
  return await withLock(join(workspace, '.anole-lock'), async () => {
    const names = await readdir(workspace);
    for (const name of names.filter((each) => each.startsWith(PREFIX))) {
      await removeAbandoned(join(workspace, name));
    }
    const path = await mkdtemp(join(workspace, PREFIX));
    return directoryAt(path, await acquireLock(lockOf(path)));
  });
}

function directoryAt(path: string, lock?: Lock): StagingDirectory {
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true });
      lock?.release();
    },
  };
}

async function removeAbandoned(path: string): Promise<void> {
  try {
    await using _lock = await acquireLock(lockOf(path), { patience: 0 });
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (!HostError.is(error) || error.code !== 'HOST_LOCKED') throw error;
  }
}

function lockOf(directory: string): string {
  return join(directory, 'lock');
}
