import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const anole = fileURLToPath(new URL('../../packages/cli/bin/anole.js', import.meta.url));
const driver = join(import.meta.dirname, 'terminal-driver.py');
const hasPython = spawnSync('python3', ['--version']).status === 0;

/** For tests that need {@link onTerminal}. */
export const needsTerminal = {
  skip: hasPython ? false : 'python3, which drives the terminal, is missing',
};

export type TerminalStep = readonly (string | number)[];

export interface TerminalOutcome {
  /** What was expected and did not come. */
  readonly missing?: string;
  readonly transcript: string;
  readonly status: number;
  /** Whether the terminal has the settings that it had before. */
  readonly restored: boolean;
}

/** Runs `anole` in a terminal and does with it what the steps say (see terminal-driver.py). */
export function onTerminal(
  steps: readonly TerminalStep[],
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): TerminalOutcome {
  const command = [driver, JSON.stringify(steps), process.execPath, anole, ...args];
  const { stdout, stderr } = spawnSync('python3', command, { encoding: 'utf8', env: environment });
  assert.ok(stdout, stderr);
  return JSON.parse(stdout) as TerminalOutcome;
}
