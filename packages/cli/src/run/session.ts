import { AnoleError } from '@anole/bytes';
import type { CommandExit, ExecOptions, Sandbox, SandboxCommand } from '@anole/sandbox';
import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { durationOf, environmentOf, sizeOf } from './arguments.ts';
import type { Interrupts } from './interrupts.ts';
import { pump } from './pump.ts';
import { RawTerminal } from './terminal.ts';

/** How a command runs. */
export interface ExecFlags {
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly timeout?: string;
  readonly maxOutput?: string;
}

export function addExecOptions(command: Command): Command {
  return command
    .option('-e, --env <NAME=VALUE>', 'set a variable; NAME alone takes it from here', append)
    .option('-w, --workdir <directory>', "working directory (default: the image's)")
    .option('-u, --user <user[:group]>', "who runs the command (default: the image's, else root)")
    .option('-i, --interactive', 'pass standard input on')
    .option('-t, --tty', 'give the command this terminal')
    .option('--timeout <duration>', 'kill the command after, such as 30s or 5m')
    .option('--max-output <size>', 'kill the command when it prints more, such as 10M');
}

function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** @throws AnoleError `CLI_USAGE` where a terminal is wanted and there is none */
export function checkTerminal({ tty }: ExecFlags, { json }: CommandContext, verb: string): void {
  if (!tty || (process.stdin.isTTY && process.stdout.isTTY && !json)) return;
  throw usageError('Cannot give the command a terminal: this is none', verb);
}

/** Options of a command that can be said in JSON. */
export function plainExec(flags: ExecFlags) {
  return {
    env: environmentOf(flags.env ?? [], process.env),
    ...(flags.workdir !== undefined && { cwd: flags.workdir }),
    ...(flags.user !== undefined && { user: flags.user }),
    ...(flags.timeout !== undefined && { timeout: durationOf(flags.timeout) }),
    ...(flags.maxOutput !== undefined && { maxOutput: sizeOf(flags.maxOutput) }),
  };
}

/** A command of a sandbox that ends with it. */
export interface Session {
  readonly context: CommandContext;
  readonly argv: readonly string[];
  readonly flags: ExecFlags;
  readonly sandbox: Sandbox;
  readonly interrupts: Interrupts;
  /** Milliseconds that the sandbox took to be there. */
  readonly boot: number;
}

interface Outcome extends CommandExit {
  readonly stdout?: Uint8Array;
  readonly stderr?: Uint8Array;
}

/** Runs a command, closes its sandbox, and gives the exit code. */
export async function runSession(session: Session): Promise<number> {
  const { context, flags, sandbox, boot } = session;
  const begun = performance.now();
  try {
    const exit = await (flags.tty ? runInTerminal(session) : runWithStreams(session));
    if (exit.outOfMemory) context.err('anole: the guest killed the command: out of memory');
    if (context.json) report(context, exit, boot, performance.now() - begun);
    return exit.code;
  } finally {
    await sandbox.close();
    process.stdin.destroy();
  }
}

function execOptions({ flags, interrupts }: Session): ExecOptions {
  return { ...plainExec(flags), signal: interrupts.signal };
}

async function runWithStreams(session: Session): Promise<Outcome> {
  const { context, argv, flags, sandbox, interrupts } = session;
  const command = await sandbox.exec(argv, {
    ...execOptions(session),
    ...(flags.interactive && { stdin: process.stdin }),
  });
  interrupts.forward(command);
  if (context.json) {
    const { exit, stdout, stderr } = await command.output();
    return { ...exit, stdout, stderr };
  }
  return await finish(command, sandbox, [
    pump(command.stdout, process.stdout, () => command.kill('SIGPIPE')),
    pump(command.stderr, process.stderr, () => {}),
  ]);
}

async function runInTerminal(session: Session): Promise<Outcome> {
  const { argv, sandbox, interrupts } = session;
  using terminal = new RawTerminal(process.stdin, process.stdout);
  const gaveUp = new AbortController();
  const options = execOptions(session);
  const command = await sandbox.exec(argv, {
    ...options,
    env: { TERM: process.env['TERM'] ?? 'xterm', ...options.env },
    tty: terminal.size,
    stdin: terminal.keys(() => gaveUp.abort(interrupted())),
    signal: AbortSignal.any([interrupts.signal, gaveUp.signal]),
  });
  interrupts.forward(command);
  terminal.onResize((size) => command.resize(size));
  return await finish(command, sandbox, [
    pump(command.stdout, process.stdout, () => command.kill()),
  ]);
}

/** Waits for the command's end, closes the sandbox, and for what is still to be written. */
async function finish(
  command: SandboxCommand,
  sandbox: Sandbox,
  pumps: readonly Promise<void>[],
): Promise<CommandExit> {
  const written = Promise.allSettled(pumps);
  try {
    return await command.exit;
  } finally {
    await sandbox.close();
    await written;
  }
}

function report(context: CommandContext, outcome: Outcome, boot: number, run: number): void {
  const { code, signal, outOfMemory, stdout, stderr } = outcome;
  context.out(
    JSON.stringify({
      exitCode: code,
      ...(signal && { signal }),
      ...(outOfMemory && { outOfMemory }),
      ...textOf('stdout', stdout),
      ...textOf('stderr', stderr),
      seconds: { boot: boot / 1000, run: run / 1000 },
    }),
  );
}

/** An output as text, or in base64 where it is none. */
function textOf(name: string, bytes: Uint8Array = new Uint8Array(0)): Record<string, string> {
  try {
    return { [name]: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString('base64') };
  }
}

export function interrupted(): AnoleError {
  return new AnoleError('CLI_INTERRUPTED', 'Stopped by the user');
}
