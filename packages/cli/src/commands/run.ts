import { AnoleError } from '@anole/bytes';
import {
  type CommandExit,
  type ExecOptions,
  Sandbox,
  type SandboxCommand,
  type SandboxOptions,
} from '@anole/sandbox';
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { act, usageError } from '../frame.ts';
import {
  commandOf,
  cpusOf,
  durationOf,
  environmentOf,
  memoryOf,
  type Target,
  targetOf,
  volumeOf,
} from '../run/arguments.ts';
import { Interrupts } from '../run/interrupts.ts';
import {
  addNetworkOptions,
  announcePorts,
  type NetworkFlags,
  networkExamples,
  networkHelp,
  networkOf,
} from '../run/network.ts';
import { pump } from '../run/pump.ts';
import { RawTerminal } from '../run/terminal.ts';

interface RunFlags {
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly entrypoint?: string;
  readonly detach?: boolean;
  readonly name?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly memory?: string;
  readonly cpus?: string;
  readonly timeout?: string;
  readonly volume?: readonly string[];
  readonly hostname?: string;
  readonly mirror?: string;
  readonly keyring?: string;
}

type AllFlags = RunFlags & NetworkFlags;

const help = `
IMAGE is os:NAME for a recipe (anole os list); HOST/NAME:TAG for a container image that was pulled,
docker://HOST/NAME:TAG for one in its registry, oci:DIRECTORY and oci-archive:FILE for layouts, each
for linux/riscv64; or the path of an EROFS image, a tar archive or a directory. Without IMAGE, put --
before the command: it runs in os:base.

Variables, directory, user, entrypoint and command of container images are respected.
${networkHelp}

The exit code is the command's own, or 128 plus the number of the signal that ended it;
124 when --timeout ended it, 125 when anole failed, 126 when the command cannot be executed,
127 when it is not in the image.

In a terminal (-t), Ctrl-] three times within a second gives up. Without one, Ctrl-C goes to the
command, and a second Ctrl-C kills it.

Examples:
  anole run -- uname -a
  echo hello | anole run -i -- tr a-z A-Z
  anole run -t os:base -- bash
  anole run docker://HOST/web:1.2
  anole run -v "$PWD:/work" -w /work os:base -- make
  anole run -d --name web -- sh -c 'while sleep 1; do date; done'
  anole run --timeout 10s --memory 1G -- sh -c 'yes > /dev/null'
  anole run --cpus 2 -v "$PWD:/work" -w /work os:gcc -- make -j2
${networkExamples}`;

/** `anole run`: one command in a machine of its own. */
export function runCommand(): Command {
  const command = new Command('run')
    .description('run a command in a virtual machine')
    .usage('[options] [IMAGE] [--] COMMAND [ARGUMENT...]')
    .argument('[words...]')
    .passThroughOptions()
    .option('-e, --env <NAME=VALUE>', 'set a variable; NAME alone takes it from here', append)
    .option('-w, --workdir <directory>', 'working directory in the image')
    .option('-u, --user <user[:group]>', "who runs the command (default: the image's, else root)")
    .option('--entrypoint <program>', "run this instead of the image's entrypoint; '' for none")
    .option('-d, --detach', 'run on in the background, and print the name of the sandbox')
    .option('--name <name>', 'name of the sandbox, for other commands (with --detach)')
    .option('-i, --interactive', 'pass standard input on')
    .option('-t, --tty', 'give the command this terminal')
    .option('--memory <size>', 'memory of the machine, 96M to 3G (default: 512M)')
    .option('--cpus <count>', 'processors of the machine, 1 to 16 (default: 1)')
    .option('--timeout <duration>', 'kill the command after, such as 30s or 5m')
    .option('-v, --volume <host:guest[:ro]>', 'offer a directory of this computer', append)
    .option('--hostname <name>', 'name of the machine');
  return addNetworkOptions(command)
    .option('--mirror <uri>', 'Debian archive to take packages from')
    .option('--keyring <file>', "OpenPGP keys to trust instead of Debian's")
    .option('--json', "print the command's end and outputs as JSON")
    .option('-q, --quiet', 'no progress')
    .addHelpText('after', help)
    .action(act(runAction, { failure: exitCodes.runFailure, ownsInterrupt: true }));
}

function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function runAction(
  context: CommandContext,
  words: readonly string[],
  flags: AllFlags,
): Promise<number> {
  if (flags.detach) return await detach(context, words, flags);
  const target = targetOf(words, isBare(words), flags.tty ?? false);
  if (flags.tty && (!process.stdin.isTTY || !process.stdout.isTTY || context.json)) {
    throw usageError('Cannot give the command a terminal: this is none', 'run');
  }
  using interrupts = new Interrupts(interrupted);
  const signal = AbortSignal.any([context.signal, interrupts.signal]);
  const begun = performance.now();
  const sandbox = await createSandbox(context, target, flags, signal);
  const booted = performance.now();
  context.endProgress();
  announcePorts(sandbox.ports, flags.publish, context);
  try {
    const argv = commandOf(target, sandbox.execution, flags);
    const session = { context, target: { ...target, argv }, flags, sandbox, interrupts };
    const exit = await (flags.tty ? runInTerminal(session) : runWithStreams(session));
    if (exit.outOfMemory) context.err('anole: the guest killed the command: out of memory');
    if (context.json) report(context, exit, booted - begun, performance.now() - booted);
    return exit.code;
  } finally {
    await sandbox.close();
    process.stdin.destroy();
  }
}

/** Without a command the sandbox stays until it is killed. */
async function detach(
  context: CommandContext,
  words: readonly string[],
  flags: AllFlags,
): Promise<number> {
  if (flags.tty || flags.interactive || flags.netLog) {
    throw usageError('Cannot detach with -t, -i or --net-log', 'run');
  }
  const { onEvent: _, ...network } = networkOf(flags, context) ?? {};
  const hasNetwork = Object.keys(network).length > 0;
  const { image, argv } = targetOf(words, isBare(words), true);
  const given = words.filter((word) => word !== '--').length - (isBare(words) ? 0 : 1) > 0;
  const { runDetached } = await import('../run/detached.ts');
  return await runDetached(context, {
    image,
    options: { ...machineOptions(flags), ...(hasNetwork && { network }) },
    ...(flags.name !== undefined && { name: flags.name }),
    ...(given && { command: { argv, ...plainExec(flags) } }),
  });
}

function plainExec(flags: AllFlags) {
  return {
    env: environmentOf(flags.env ?? [], process.env),
    ...(flags.workdir !== undefined && { cwd: flags.workdir }),
    ...(flags.user !== undefined && { user: flags.user }),
    ...(flags.timeout !== undefined && { timeout: durationOf(flags.timeout) }),
  };
}

function machineOptions(flags: AllFlags) {
  return {
    volumes: (flags.volume ?? []).map(volumeOf),
    ...(flags.memory !== undefined && { memoryMiB: memoryOf(flags.memory) }),
    ...(flags.cpus !== undefined && { cpus: cpusOf(flags.cpus) }),
    ...(flags.hostname !== undefined && { hostname: flags.hostname }),
    ...(flags.mirror !== undefined && { mirror: flags.mirror }),
    ...(flags.keyring !== undefined && { keyring: flags.keyring }),
  };
}

/** Whether `--` came before the first word: commander has removed it then. */
function isBare(words: readonly string[]): boolean {
  return process.argv.at(-words.length - 1) === '--' && words.length > 0;
}

function createSandbox(
  context: CommandContext,
  target: Target,
  flags: AllFlags,
  signal: AbortSignal,
): Promise<Sandbox> {
  const network = networkOf(flags, context);
  const options: SandboxOptions = {
    signal,
    onProgress: context.progress,
    onNote: (note) => context.err(`anole: note: ${note}`),
    ...machineOptions(flags),
    terminals: flags.tty ? 1 : 0,
    ...(network && { network }),
  };
  return Sandbox.create(target.image, options);
}

interface Session {
  readonly context: CommandContext;
  readonly target: Target;
  readonly flags: AllFlags;
  readonly sandbox: Sandbox;
  readonly interrupts: Interrupts;
}

interface Outcome extends CommandExit {
  readonly stdout?: Uint8Array;
  readonly stderr?: Uint8Array;
}

function execOptions({ flags, interrupts }: Session): ExecOptions {
  return { ...plainExec(flags), signal: interrupts.signal };
}

async function runWithStreams(session: Session): Promise<Outcome> {
  const { context, target, flags, sandbox, interrupts } = session;
  const command = await sandbox.exec(target.argv, {
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
  const { target, sandbox, interrupts } = session;
  using terminal = new RawTerminal(process.stdin, process.stdout);
  const gaveUp = new AbortController();
  const options = execOptions(session);
  const command = await sandbox.exec(target.argv, {
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

function interrupted(): AnoleError {
  return new AnoleError('CLI_INTERRUPTED', 'Stopped by the user');
}
