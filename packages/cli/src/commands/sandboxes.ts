import type { SandboxStats } from '@anole/sandbox';
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { ask, askRunning } from '../daemon/client.ts';
import { kind } from '../daemon/frames.ts';
import type { ListedSandbox } from '../daemon/messages.ts';
import { act, usageError } from '../frame.ts';
import { table } from '../table.ts';

/** `anole ps`: sandboxes that live on. */
export function psCommand(): Command {
  return new Command('ps')
    .description('list sandboxes that live on')
    .option('-a, --all', 'also those that ended, the newest twenty')
    .option('--names', 'their names alone, one a line')
    .addHelpText('after', '\nExamples:\n  anole ps\n  anole ps -a --json')
    .action(act(ps));
}

async function ps(
  context: CommandContext,
  flags: { readonly all?: boolean; readonly names?: boolean },
): Promise<number> {
  const all = (await askRunning<ListedSandbox[]>({ verb: 'list' })) ?? [];
  const shown = all.filter(({ state }) => flags.all || state !== 'ended');
  if (context.json) {
    context.out(JSON.stringify(shown));
    return 0;
  }
  if (flags.names) {
    for (const { name } of shown) context.out(name);
    return 0;
  }
  const rows = shown.map(({ id, name, image, state, created, command, exitCode, reason }) => [
    name,
    id,
    state === 'ended' ? `ended (${exitCode ?? reason ?? ''})` : state,
    ago(created),
    image,
    command.join(' ').slice(0, 40),
  ]);
  context.out(table(['NAME', 'ID', 'STATE', 'CREATED', 'IMAGE', 'COMMAND'], rows));
  return 0;
}

function ago(time: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - time) / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

/** A verb that is about sandboxes by their names, and says nothing but what went wrong. */
function byName(verb: 'pause' | 'resume', description: string, example: string): Command {
  return new Command(verb)
    .description(description)
    .argument('<sandboxes...>', 'names, or beginnings of ids')
    .addHelpText('after', `\nExamples:\n  ${example}`)
    .action(
      act(async (_context, names: readonly string[]) => {
        for (const name of names) await ask({ verb, name });
        return 0;
      }),
    );
}

export function pauseCommand(): Command {
  return byName('pause', 'have a sandbox stand still', 'anole pause web');
}

export function resumeCommand(): Command {
  return byName('resume', 'let a paused sandbox go on', 'anole resume web');
}

/** `anole kill`: ends sandboxes at once. */
export function killCommand(): Command {
  return new Command('kill')
    .description('end sandboxes at once')
    .argument('[sandboxes...]', 'names, or beginnings of ids')
    .option('-a, --all', 'all that there are')
    .addHelpText('after', '\nExamples:\n  anole kill web\n  anole kill --all')
    .action(act(kill));
}

async function kill(
  _context: CommandContext,
  names: readonly string[],
  flags: { readonly all?: boolean },
): Promise<number> {
  if (names.length === 0 && !flags.all) throw usageError('Cannot kill: no name given', 'kill');
  const all = flags.all ? ((await askRunning<ListedSandbox[]>({ verb: 'list' })) ?? []) : [];
  const live = all.filter(({ state }) => state !== 'ended').map(({ id }) => id);
  for (const name of [...names, ...live]) await ask({ verb: 'kill', name });
  return 0;
}

/** `anole fork`: a copy of a running sandbox. */
export function forkCommand(): Command {
  return new Command('fork')
    .description('copy a running sandbox: memory, files and processes')
    .argument('<sandbox>', 'name, or beginning of an id')
    .option('--name <name>', 'name of the copy')
    .addHelpText('after', '\nExamples:\n  anole fork web --name web-2')
    .action(act(fork));
}

async function fork(
  context: CommandContext,
  name: string,
  flags: { readonly name?: string },
): Promise<number> {
  const newName = flags.name === undefined ? {} : { newName: flags.name };
  const made = await ask<{ id: string; name: string }>({ verb: 'fork', name, ...newName });
  context.out(context.json ? JSON.stringify(made) : made.name);
  return 0;
}

/** `anole stats`: what a sandbox took. */
export function statsCommand(): Command {
  return new Command('stats')
    .description('say what a sandbox takes')
    .argument('<sandbox>', 'name, or beginning of an id')
    .addHelpText('after', '\nExamples:\n  anole stats web\n  anole stats web --json')
    .action(act(stats));
}

async function stats(context: CommandContext, name: string): Promise<number> {
  const found = await ask<SandboxStats>({ verb: 'stats', name });
  if (context.json) {
    context.out(JSON.stringify(found));
    return 0;
  }
  const { state, uptime, cpu, disk, memory, processes } = found;
  const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const rows = [
    ['state', `${state}, for ${(uptime / 1000).toFixed(0)} s`],
    [
      'processor',
      `${(cpu.used / 1000).toFixed(2)} s, held back ${(cpu.throttled / 1000).toFixed(2)} s`,
    ],
    ['written', `${mebibytes(disk.written)} of ${mebibytes(disk.max)}`],
    [
      'memory',
      memory ? `${mebibytes(memory.total - memory.available)} of ${mebibytes(memory.total)}` : '-',
    ],
    ['processes', `${processes ?? '-'}`],
  ];
  context.out(table([], rows));
  return 0;
}

/** `anole logs`: what the command of a sandbox printed. */
export function logsCommand(): Command {
  return new Command('logs')
    .description("print what a sandbox's command printed, the last 4 MiB")
    .argument('<sandbox>', 'name, or beginning of an id')
    .option('-f, --follow', 'go on until it ends')
    .addHelpText('after', '\nExamples:\n  anole logs web\n  anole logs -f web')
    .action(act(logs));
}

async function logs(
  _context: CommandContext,
  name: string,
  flags: { readonly follow?: boolean },
): Promise<number> {
  await ask(
    { verb: 'logs', name, follow: flags.follow ?? false },
    {
      onFrame: ({ kind: what, payload }) => {
        (what === kind.stdout ? process.stdout : process.stderr).write(payload.slice());
      },
    },
  );
  return 0;
}
