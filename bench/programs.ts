import { spawnSync } from 'node:child_process';

/** Whether a program is there to be run. */
export function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

/** Runs a program to its end; raises with what it said where it fails. */
export function runProgram(name: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(name, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${name} failed: ${error?.message ?? stderr.slice(-2000)}`);
}
