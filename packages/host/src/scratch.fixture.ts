import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

const mounted: string[] = [];

/** A directory that goes when the test ends, after all that is mounted in it. */
export function scratchDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'anole-host-'));
  context.after(() => {
    for (const disk of mounted.splice(0)) execFileSync('umount', [disk]);
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/** A directory on a file system of its own with that many KiB; undefined where it cannot be made. */
export function smallDisk(context: TestContext, kibibytes: number): string | undefined {
  const directory = join(scratchDirectory(context), 'disk');
  mkdirSync(directory);
  try {
    const options = ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', directory];
    execFileSync('mount', options, { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  mounted.push(directory);
  return directory;
}

/** Another process that runs a module of TypeScript, which says on standard output how far it is. */
export interface OtherProcess {
  /** Resolves when the process has printed a line that is `text`. */
  said(text: string): Promise<void>;
  kill(): void;
  /** Resolves to the exit code, or the signal, of the process. */
  readonly ended: Promise<number | string>;
}

export function otherProcess(context: TestContext, code: string): OtherProcess {
  const options = ['-C', 'anole-source', '--input-type=module-typescript', '--eval', code];
  const child = spawn(process.execPath, options, {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  const { promise: ended, resolve } = Promise.withResolvers<number | string>();
  child.on('close', (status, signal) => resolve(status ?? signal ?? -1));
  context.after(() => child.kill('SIGKILL'));
  const said = (text: string) => {
    const { promise, resolve: found, reject } = Promise.withResolvers<void>();
    const look = () => output.split('\n').includes(text) && found();
    child.stdout.on('data', look);
    child.on('close', () => reject(new Error(`The process ended without saying ${text}`)));
    look();
    return promise;
  };
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return { said, kill: () => child.kill('SIGKILL'), ended };
}
