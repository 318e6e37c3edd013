import { AnoleError } from '@anole/bytes';
import type { CommandExit } from '@anole/sandbox';
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { ask } from '../daemon/client.ts';
import { exitCodes } from '../exit-codes.ts';
import { act } from '../frame.ts';
import { Interrupts } from '../run/interrupts.ts';
import { show, steer } from '../run/remote.ts';
import { interrupted } from '../run/session.ts';
import { RawTerminal } from '../run/terminal.ts';

const help = `
Shows what the command prints from now on, and gives it what you type where it was started with -i. In a
terminal, Ctrl-] three times within a second leaves it; it runs on. Without one, Ctrl-C goes to the
command. The exit code is the command's own.

Examples:
  anole run -dit --name shell os:base -- bash
  anole attach shell
  echo hello | anole attach reader`;

/** `anole attach`: talks to the command that a sandbox was made for. */
export function attachCommand(): Command {
  return new Command('attach')
    .description("talk to a sandbox's command")
    .argument('<sandbox>', 'name, or beginning of an id')
    .addHelpText('after', help)
    .action(act(attach, { failure: exitCodes.runFailure, owns: 'SIGINT' }));
}

async function attach(context: CommandContext, name: string): Promise<number> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  using terminal = isTerminal ? new RawTerminal(process.stdin, process.stdout) : undefined;
  using interrupts = new Interrupts(interrupted);
  try {
    const exit = await ask<CommandExit | null>(
      { verb: 'attach', name, ...(terminal && { size: terminal.size }) },
      {
        context,
        onFrame: show,
        onStarted: (connection) => {
          if (terminal) context.err(`anole: ${name}: Ctrl-] three times leaves it`);
          steer(connection, { interrupts, terminal, stdin: true });
        },
      },
    );
    return exit?.code ?? 0;
  } catch (error) {
    if (AnoleError.is(error) && error.code === 'CLI_INTERRUPTED') return 0;
    throw error;
  } finally {
    process.stdin.destroy();
  }
}
