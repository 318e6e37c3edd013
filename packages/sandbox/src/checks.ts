import type { ExecOptions } from './command.ts';
import { SandboxError } from './errors.ts';

const maxHostname = 64; // sethostname(2)

export function forkName(hostname: string, distinction: string | number): string {
  const suffix = `-${distinction}`;
  return hostname.slice(0, maxHostname - suffix.length) + suffix;
}

/** What no command can be started with. See `spawnPayload` for its texts. */
export function checkArguments(argv: readonly string[], options: ExecOptions): void {
  if (argv.length === 0) throw badOption('no command', 'Give at least the name of a program');
  const names = Object.keys(options.env ?? {});
  const name = names.find((each) => each === '' || each.includes('='));
  if (name !== undefined)
    throw badOption(`the variable ${JSON.stringify(name)}`, 'Give NAME=value');
  if (options.cwd !== undefined && !options.cwd.startsWith('/')) {
    throw badOption(`the directory ${options.cwd}`, 'Give an absolute path');
  }
}

export function checkRange(
  what: string,
  unit: string,
  value: number,
  least: number,
  most: number,
): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw badOption(`${value} ${unit} as ${what}`.replace('  ', ' '), `Give ${least} to ${most}`);
}

export function checkShare(share: number): number {
  if (share > 0 && share <= 64) return share;
  throw badOption(`${share} of a processor`, 'Give a number above 0, such as 0.5');
}

/** Milliseconds, as timers take them. */
export function checkLifetime(lifetime: number): void {
  if (lifetime >= 1 && lifetime < 2 ** 31) return;
  throw badOption(`a lifetime of ${lifetime} ms`, 'Give 1 to 2147483647');
}

function badOption(what: string, hint: string): SandboxError {
  return new SandboxError('SANDBOX_BAD_OPTION', `Cannot use ${what}`, { hint });
}
