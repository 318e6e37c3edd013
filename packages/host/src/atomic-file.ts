import { randomBytes } from 'node:crypto';
import { constants, renameSync } from 'node:fs';
import { access, type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HostError, hostError } from './errors.ts';
import { makeDirectories, removeDirectories } from './make-directories.ts';
import { nameOpenFile, O_TMPFILE } from './native/file-calls.ts';
import { hasNative } from './native/koffi.ts';

export interface AtomicOptions {
  /** Permission bits, before the umask. Default 0o666. */
  readonly mode?: number;
  /** Waits until the data is on the disk before the file appears. Default false. */
  readonly durable?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Writes a file that appears whole or not at all: into one without a name, which gets it at the end, and of which the
 * kernel leaves nothing when this process is killed. Where there are none (without koffi, or on a file system such as
 * NFS), into a hidden sibling, which is renamed over `path` at the end and removed when anything fails. Missing
 * parent directories are made, and are taken away again with it. See docs/decisions/0258-files-without-a-name.md.
 *
 * @throws HostError such as `HOST_NO_SPACE`, or `HOST_NOT_FILE` where a device or the like is there; whatever `fill`
 *   throws.
 */
export async function createFileAtomically(
  path: string,
  fill: (file: FileHandle) => Promise<void>,
  options: AtomicOptions = {},
): Promise<void> {
  await create(path, fill, options, openNameless);
}

/**
 * The same for data at hand: by way of the sibling, since it is there for a moment only, which is not worth
 * loading koffi for.
 */
export async function writeFileAtomically(
  path: string,
  data: Uint8Array | string | AsyncIterable<Uint8Array>,
  options: AtomicOptions = {},
): Promise<void> {
  const fill = (file: FileHandle) => file.writeFile(data, options);
  const isAtHand = typeof data === 'string' || data instanceof Uint8Array;
  await create(path, fill, options, isAtHand ? undefined : openNameless);
}

async function create(
  path: string,
  fill: (file: FileHandle) => Promise<void>,
  options: AtomicOptions,
  openOther: typeof openNameless | undefined,
): Promise<void> {
  const directory = dirname(path);
  const name = `.${basename(path).slice(0, 200)}.${randomBytes(6).toString('hex')}`;
  const temporary = join(directory, name);
  const mode = options.mode ?? 0o666;
  let made: readonly string[] = [];
  try {
    options.signal?.throwIfAborted();
    await refuseOther(path);
    made = await makeDirectories(directory);
    const nameless = await openOther?.(directory, mode);
    const file = nameless ?? (await open(temporary, 'wx+', mode));
    try {
      await fill(file);
      if (options.durable) await file.datasync();
      options.signal?.throwIfAborted();
      if (nameless) {
        // A name that is taken can only be taken over by renaming; at once, so that hardly a kill comes between.
        nameOpenFile(nameless.fd, temporary);
        renameSync(temporary, path);
      }
    } finally {
      await file.close();
    }
    if (!nameless) await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    await removeDirectories(made);
    throw hostError(error, `write ${path}`);
  }
}

/** Undefined where there are no such files, or where they could not be given a name later. */
async function openNameless(directory: string, mode: number): Promise<FileHandle | undefined> {
  if (!directory.isWellFormed() || !hasNative()) return undefined;
  let file: FileHandle | undefined;
  try {
    file = await open(directory, O_TMPFILE | constants.O_RDWR, mode);
    await access(`/proc/self/fd/${file.fd}`, constants.F_OK);
    return file;
  } catch {
    // What else is wrong with the directory the sibling meets, too.
    await file?.close();
    return undefined;
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
