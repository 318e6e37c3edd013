import type { CommandExit } from '@anole/sandbox';
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { ask } from '../daemon/client.ts';
import type { ExecRequest } from '../daemon/messages.ts';
import { exitCodes } from '../exit-codes.ts';
import { act } from '../frame.ts';
import { Interrupts } from '../run/interrupts.ts';
import { show, steer } from '../run/remote.ts';
import {
  addExecOptions,
  checkTerminal,
  type ExecFlags,
  interrupted,
  plainExec,
} from '../run/session.ts';
import { RawTerminal } from '../run/terminal.ts';

const help = `
The exit code is the command's own, as with anole run.

Examples:
  anole exec web ps aux
  anole exec -t web bash
  tar c src | anole exec -i web tar x -C /work`;

/** `anole exec`: one more command in a sandbox that lives on. */
export function execCommand(): Command {
  const command = new Command('exec')
    .description('run a command in a sandbox that lives on')
    .argument('<sandbox>', 'name, or beginning of an id')
    .argument('<command...>', 'the program and its arguments')
    .passThroughOptions();
  return addExecOptions(command)
    .addHelpText('after', help)
    .action(act(execAction, { failure: exitCodes.runFailure, owns: 'SIGINT' }));
}

async function execAction(
  context: CommandContext,
  name: string,
  words: readonly string[],
  flags: ExecFlags,
): Promise<number> {
  const argv = words[0] === '--' ? words.slice(1) : words;
  checkTerminal(flags, { ...context, json: false }, 'exec');
  using terminal = flags.tty ? new RawTerminal(process.stdin, process.stdout) : undefined;
  const { env, ...plain } = plainExec(flags);
  const stdin = flags.tty === true || flags.interactive === true;
  const request: ExecRequest = {
    verb: 'exec',
    name,
    argv,
    env: { ...(flags.tty && { TERM: process.env['TERM'] ?? 'xterm' }), ...env },
    ...plain,
    stdin,
    ...(terminal && { tty: terminal.size }),
  };
  using interrupts = new Interrupts(interrupted);
  try {
    const exit = await ask<CommandExit>(request, {
      context,
      onFrame: show,
      onStarted: (connection) => steer(connection, { interrupts, terminal, stdin }),
    });
    if (exit.outOfMemory) context.err('anole: the guest killed the command: out of memory');
    return exit.code;
  } finally {
    process.stdin.destroy();
  }
}
