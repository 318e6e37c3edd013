import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

/** Why a test cannot run here, or false: a tool is missing, or `root`. */
export function needs(...what: readonly string[]): string | false {
  for (const one of what) {
    if (one === 'root') {
      if (process.geteuid?.() !== 0) return 'needs root';
    } else if (spawnSync(one, ['--version'], { stdio: 'ignore' }).error) {
      return `${one} is not installed`;
    }
  }
  return false;
}

/** Runs a tool to its end; throws with its complaints where it fails. */
export function run(...command: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command[0]!, command.slice(1), {
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}`);
  return stdout.toString();
}

/** Waits until something is so, however slow this computer is; fails after five minutes, in which nothing helps. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 300_000; !(await isSo()); await sleep(20)) {
    if (performance.now() > end) throw new Error(`For five minutes it has not come true: ${what}`);
  }
}

/** What helpers need of a test. */
export interface Test {
  after(work: () => void | Promise<void>): void;
}

/** In a suite: the same for what all its tests share, which ends with the suite. */
export function sharedBySuite(): Test {
  const ends: (() => void | Promise<void>)[] = [];
  after(async () => {
    for (const end of ends) await end();
  });
  return { after: (work) => void ends.push(work) };
}

/** A directory that goes with the test. */
export function temporary(test: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'anole-oci-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
