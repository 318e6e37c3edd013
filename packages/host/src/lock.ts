import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { HostError, hostError } from './errors.ts';
import { makeDirectories } from './make-directories.ts';

export interface LockOptions {
  /** Milliseconds to wait for another holder; 0 tries once. Default: as long as it takes. */
  readonly patience?: number;
  /** Excludes only holders that do not share. Default false. */
  readonly shared?: boolean;
  /** Called once, when the lock is not free at once. */
  readonly onWait?: () => void;
  readonly signal?: AbortSignal;
}

/** A lock that is held; `await using` or `release()` ends it, and so does the end of the process. */
export interface Lock extends AsyncDisposable {
  release(): void;
}

const sqliteBusy = 5;
const shortestPause = 5;
const longestPause = 100;

/**
 * Takes the lock named by a file (made if missing, with its directories; always empty;
 * never removed). It excludes other processes and other holders in this one, but for those that both
 * share; the kernel frees it when its holder dies, however it dies. See docs/decisions/0050-locks-held-by-the-kernel.md.
 *
 * @throws HostError `HOST_LOCKED` when `patience` runs out.
 */
export async function acquireLock(path: string, options: LockOptions = {}): Promise<Lock> {
  const deadline = Date.now() + (options.patience ?? Number.POSITIVE_INFINITY);
  let pause = shortestPause;
  for (let attempt = 0; ; attempt++) {
    options.signal?.throwIfAborted();
    const lock = await tryLock(path, options.shared ?? false);
    if (lock !== undefined) return lock;
    if (Date.now() >= deadline) {
      throw new HostError('HOST_LOCKED', `Cannot lock ${path}: another process holds it`, {
        details: { path },
        hint: 'Wait until the other anole has finished, then try again.',
      });
    }
    if (attempt === 0) options.onWait?.();
    await sleep(pause, undefined, options.signal ? { signal: options.signal } : {});
    pause = Math.min(pause * 2, longestPause);
  }
}

/** Runs `work` under the lock. */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  await using _lock = await acquireLock(path, options);
  return await work();
}

/** SQLite takes its shared lock at the first read of a transaction, not at its beginning. */
const beginShared = 'BEGIN; SELECT count(*) FROM sqlite_schema';

async function tryLock(path: string, shared: boolean): Promise<Lock | undefined> {
  let database: DatabaseSync | undefined;
  try {
    await makeDirectories(dirname(path));
    const sqlite = await import('node:sqlite');
    database = new sqlite.DatabaseSync(path, { timeout: 0 });
    const begin = shared ? beginShared : 'BEGIN EXCLUSIVE';
    // SQLite sets memory aside for twenty pages, though there are none.
    database.exec(`PRAGMA page_size = 512; PRAGMA journal_mode = MEMORY; ${begin}`);
  } catch (error) {
    database?.close();
    if (isBusy(error)) return undefined;
    throw hostError(error, `lock ${path}`);
  }
  return heldBy(database);
}

function heldBy(database: DatabaseSync): Lock {
  const release = () => {
    if (database.isOpen) database.close();
  };
  return { release, [Symbol.asyncDispose]: async () => release() };
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy;
}
