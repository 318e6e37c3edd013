import { once } from 'node:events';
import { AnoleError } from '@anole/bytes';
import { type CommandExit, type SignalName, signalNumber } from '@anole/sandbox';
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { ask } from '../daemon/client.ts';
import { type Frame, type FrameSocket, kind } from '../daemon/frames.ts';
import type { ExecRequest } from '../daemon/messages.ts';
import { exitCodes } from '../exit-codes.ts';
import { act, usageError } from '../frame.ts';
import { durationOf, environmentOf } from '../run/arguments.ts';
import { Interrupts } from '../run/interrupts.ts';
import { RawTerminal } from '../run/terminal.ts';

interface ExecFlags {
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly timeout?: string;
}

const help = `
The exit code is the command's own, as with anole run.

Examples:
  anole exec web ps aux
  anole exec -t web bash
  tar c src | anole exec -i web tar x -C /work`;

/** `anole exec`: one more command in a sandbox that lives on. */
export function execCommand(): Command {
  return new Command('exec')
    .description('run a command in a sandbox that lives on')
    .argument('<name>', 'name, or beginning of an id')
    .argument('<words...>', 'the command')
    .passThroughOptions()
    .option('-e, --env <NAME=VALUE>', 'set a variable; NAME alone takes it from here', append)
    .option('-w, --workdir <directory>', 'working directory')
    .option('-u, --user <user[:group]>', 'who runs the command (default: root)')
    .option('-i, --interactive', 'pass standard input on')
    .option('-t, --tty', 'give the command this terminal')
    .option('--timeout <duration>', 'kill the command after, such as 30s or 5m')
    .addHelpText('after', help)
    .action(act(execAction, { failure: exitCodes.runFailure, ownsInterrupt: true }));
}

function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function execAction(
  context: CommandContext,
  name: string,
  words: readonly string[],
  flags: ExecFlags,
): Promise<number> {
  const argv = words[0] === '--' ? words.slice(1) : words;
  if (flags.tty && (!process.stdin.isTTY || !process.stdout.isTTY)) {
    throw usageError('Cannot give the command a terminal: this is none', 'exec');
  }
  using terminal = flags.tty ? new RawTerminal(process.stdin, process.stdout) : undefined;
  const request: ExecRequest = {
    verb: 'exec',
    name,
    argv,
    env: {
      ...(flags.tty && { TERM: process.env['TERM'] ?? 'xterm' }),
      ...environmentOf(flags.env ?? [], process.env),
    },
    stdin: flags.tty === true || flags.interactive === true,
    ...(flags.workdir !== undefined && { cwd: flags.workdir }),
    ...(flags.user !== undefined && { user: flags.user }),
    ...(flags.timeout !== undefined && { timeout: durationOf(flags.timeout) }),
    ...(terminal && { tty: terminal.size }),
  };
  using interrupts = new Interrupts(() => new AnoleError('CLI_INTERRUPTED', 'Stopped by the user'));
  const onStarted = (connection: FrameSocket) =>
    begin(connection, { request, interrupts, terminal });
  try {
    const exit = await ask<CommandExit>(request, { context, onFrame: show, onStarted });
    if (exit.outOfMemory) context.err('anole: the guest killed the command: out of memory');
    return exit.code;
  } finally {
    process.stdin.destroy();
  }
}

interface Steering {
  readonly request: ExecRequest;
  readonly interrupts: Interrupts;
  readonly terminal: RawTerminal | undefined;
}

/** The command runs: what the user does goes to it. */
function begin(connection: FrameSocket, { request, interrupts, terminal }: Steering): void {
  const leave = () => void connection.socket.destroy();
  interrupts.forward({
    kill: (signal: SignalName | number = 'SIGTERM') =>
      void connection.sendJson({ signal: signalNumber(signal) }),
  });
  interrupts.signal.addEventListener('abort', leave, { once: true });
  terminal?.onResize((resize) => void connection.sendJson({ resize }));
  if (!request.stdin) return;
  const input = terminal?.keys(leave) ?? (process.stdin as AsyncIterable<Uint8Array>);
  void (async () => {
    for await (const bytes of input) await connection.send(kind.data, bytes);
    await connection.send(kind.end, new Uint8Array(0));
  })().catch(() => {});
}

async function show({ kind: what, payload }: Frame): Promise<void> {
  const stream = what === kind.stderr ? process.stderr : process.stdout;
  if (!stream.write(payload.slice())) await once(stream, 'drain');
}
