import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { hasNative, PreContentGroup } from '../src/native/index.ts';

/** Why a test cannot run here, or false: some tool is missing, or `root`, or `attributes`. */
export function needs(...what: readonly string[]): string | false {
  for (const one of what) {
    if (one === 'root') {
      if (process.geteuid?.() !== 0) return 'needs root';
    } else if (one === 'attributes') {
      const reason = withoutAttributes();
      if (reason) return reason;
    } else if (spawnSync(one, ['--version'], { stdio: 'ignore' }).error) {
      return `${one} is not installed`;
    }
  }
  return false;
}

/** Why extended attributes cannot be set by setfattr(1) where tests write, or false. */
function withoutAttributes(): string | false {
  const directory = mkdtempSync(join(tmpdir(), 'anole-'));
  try {
    const { error, status } = spawnSync('setfattr', ['-n', 'user.anole', '-v', '1', directory]);
    if (error) return 'setfattr is not installed';
    return status === 0 ? false : 'the file system has no user attributes';
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Why the kernel tells nobody here that a file is about to be read, or false. */
export async function noPreContent(): Promise<string | false> {
  if (!hasNative()) return 'needs koffi';
  if (process.geteuid?.() !== 0) return 'needs root';
  const directory = mkdtempSync(join(tmpdir(), 'anole-'));
  const path = join(directory, 'file');
  writeFileSync(path, '');
  try {
    await using group = new PreContentGroup(directory);
    group.mark(path);
    return false;
  } catch (error) {
    return `needs Linux 6.14 with pre-content events: ${error}`;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Runs a tool to its end; throws with its complaints where it fails. */
export function run(command: readonly string[], cwd?: string): Buffer {
  const { status, stdout, stderr, error } = spawnSync(command[0]!, command.slice(1), {
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
    ...(cwd !== undefined && { cwd }),
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

/**
 * How many descriptors of this process stand for a file or what is below it: what else Node opens and closes in
 * the meantime is no matter.
 */
export function openBelow(path: string): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // that of the listing itself
    }
  });
  return targets.filter((target) => target === path || target.startsWith(`${path}/`)).length;
}

/** A directory that goes with the test. */
export function temporary(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'anole-'));
  test.after(() => {
    // What only may be read cannot be removed by any user but root.
    spawnSync('chmod', ['-R', 'u+rwX', directory], { stdio: 'ignore' });
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}
