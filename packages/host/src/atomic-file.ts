import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HostError, hostError } from './errors.ts';
import { makeDirectories, removeDirectories } from './make-directories.ts';

export interface AtomicOptions {
  /** Permission bits, before the umask. Default 0o666. */
  readonly mode?: number;
  /** Waits until the data is on the disk before the file appears. Default false. */
  readonly durable?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Writes a file that appears whole or not at all: into a hidden sibling, which is renamed over
 * `path` at the end and removed when anything fails. Missing parent directories are made, and are
 * taken away again with it.
 *
 * @throws HostError such as `HOST_NO_SPACE`, or `HOST_NOT_FILE` where a device or the like is there; whatever `fill`
 *   throws.
 */
export async function createFileAtomically(
  path: string,
  fill: (file: FileHandle) => Promise<void>,
  options: AtomicOptions = {},
): Promise<void> {
  const action = `write ${path}`;
  const directory = dirname(path);
  const name = `.${basename(path).slice(0, 200)}.${randomBytes(6).toString('hex')}`;
  const temporary = join(directory, name);
  let made: readonly string[] = [];
  try {
    options.signal?.throwIfAborted();
    await refuseOther(path);
    made = await makeDirectories(directory);
    const file = await open(temporary, 'wx+', options.mode ?? 0o666);
    try {
      await fill(file);
      if (options.durable) await file.datasync();
    } finally {
      await file.close();
    }
    options.signal?.throwIfAborted();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    await removeDirectories(made);
    throw hostError(error, action);
  }
}

/** What is no file must not be replaced by one: it would be gone, and nothing written to it. */
async function refuseOther(path: string): Promise<void> {
  const there = await stat(path).catch(() => undefined);
  if (there === undefined || there.isFile()) return;
  throw new HostError('HOST_NOT_FILE', `Cannot write ${path}: what is there is no regular file`, {
    hint: 'Give the path of a file. What is meant for a device is copied to it from there.',
  });
}

/** {@link createFileAtomically} for data at hand. */
export async function writeFileAtomically(
  path: string,
  data: Uint8Array | string | AsyncIterable<Uint8Array>,
  options: AtomicOptions = {},
): Promise<void> {
  await createFileAtomically(path, (file) => file.writeFile(data, options), options);
}
