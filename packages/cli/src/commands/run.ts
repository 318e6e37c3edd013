import { Sandbox, type SandboxOptions } from '@anole/sandbox';
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { act, usageError } from '../frame.ts';
import { commandOf, cpusOf, memoryOf, type Target, targetOf, volumeOf } from '../run/arguments.ts';
import { Interrupts } from '../run/interrupts.ts';
import { addLimitOptions, type LimitFlags, limitsOf } from '../run/limits.ts';
import {
  addNetworkOptions,
  announcePorts,
  type NetworkFlags,
  networkExamples,
  networkHelp,
  networkOf,
} from '../run/network.ts';
import {
  addExecOptions,
  checkTerminal,
  type ExecFlags,
  interrupted,
  plainExec,
  runSession,
} from '../run/session.ts';

interface RunFlags {
  readonly entrypoint?: string;
  readonly detach?: boolean;
  readonly name?: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly volume?: readonly string[];
  readonly hostname?: string;
  readonly mirror?: string;
  readonly keyring?: string;
}

type AllFlags = RunFlags & ExecFlags & LimitFlags & NetworkFlags;

const help = `
IMAGE is os:NAME for a recipe (anole os list); HOST/NAME:TAG for a container image that was pulled,
docker://HOST/NAME:TAG for one in its registry, oci:DIRECTORY and oci-archive:FILE for layouts,
oci+https://HOST/PATH and s3://BUCKET/PREFIX for layouts elsewhere, each for linux/riscv64; or the path of an EROFS image, a tar archive or a directory. Without IMAGE, put --
before the command: it runs in os:base.

An image that is elsewhere and loads on demand (EROFS or RAFS of anole image convert, eStargz, zstd:chunked, or
layers of which it names an index) is not pulled: what the command reads is fetched as it is read, and kept.
Others are pulled.

Variables, directory, user, entrypoint and command of container images are respected.

A volume (-v) is a directory, which the command may write unless it ends with :ro; or the path of an EROFS image or a
tar archive, or a container image by any of docker://, oci: and the others above. Images are only read. Of one that is
elsewhere and loads on demand, only what is read is fetched.
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
  anole run -v data.erofs:/data os:python -- python3 -c 'print(len(open("/data/corpus", "rb").read()))'
  anole run -d --name web -- sh -c 'while sleep 1; do date; done'
  anole run -dit --name shell os:base -- bash; anole attach shell
  anole run --timeout 10s --memory 1G -- sh -c 'yes > /dev/null'
  anole run --cpu-share 0.5 --pids-limit 64 --disk 1G --max-output 10M -- ./untrusted
  anole run --cpus 2 -v "$PWD:/work" -w /work os:gcc -- make -j2
${networkExamples}`;

/** `anole run`: one command in a machine of its own. */
export function runCommand(): Command {
  const command = new Command('run')
    .description('run a command in a virtual machine')
    .usage('[options] [IMAGE] [--] COMMAND [ARGUMENT...]')
    .argument('[words...]')
    .passThroughOptions();
  addExecOptions(command)
    .option('--entrypoint <program>', "run this instead of the image's entrypoint; '' for none")
    .option('-d, --detach', 'run on in the background, and print the name of the sandbox')
    .option('--name <name>', 'name of the sandbox, for other commands (with --detach)')
    .option('--memory <size>', 'memory of the machine, 96M to 3G (default: 512M)')
    .option('--cpus <count>', 'processors of the machine, 1 to 16 (default: 1)')
    .option(
      '-v, --volume <host:guest[:ro]>',
      'offer a directory, or an image, of this computer',
      append,
    )
    .option('--hostname <name>', 'name of the machine');
  addLimitOptions(command);
  return addNetworkOptions(command)
    .option('--mirror <uri>', 'Debian archive to take packages from')
    .option('--keyring <file>', "OpenPGP keys to trust instead of Debian's")
    .option('--json', "print the command's end and outputs as JSON")
    .option('-q, --quiet', 'no progress')
    .addHelpText('after', help)
    .action(act(runAction, { failure: exitCodes.runFailure, owns: 'SIGINT' }));
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
  if (flags.name !== undefined) {
    throw usageError('Cannot name a sandbox that ends with its command', 'run');
  }
  const target = targetOf(words, isBare(words), flags.tty ?? false);
  checkTerminal(flags, context, 'run');
  using interrupts = new Interrupts(interrupted);
  const signal = AbortSignal.any([context.signal, interrupts.signal]);
  const begun = performance.now();
  const sandbox = await createSandbox(context, target, flags, signal);
  const boot = performance.now() - begun;
  context.endProgress();
  announcePorts(sandbox.ports, flags.publish, context);
  try {
    const argv = commandOf(target, sandbox.execution, flags);
    return await runSession({ context, argv, flags, sandbox, interrupts, boot });
  } finally {
    await sandbox.close();
  }
}

/** Without a command the sandbox stays until it is killed. */
async function detach(
  context: CommandContext,
  words: readonly string[],
  flags: AllFlags,
): Promise<number> {
  if (flags.netLog) throw usageError('Cannot detach with --net-log', 'run');
  const { onEvent: _, ...network } = networkOf(flags, context) ?? {};
  const hasNetwork = Object.keys(network).length > 0;
  const { image, argv } = targetOf(words, isBare(words), true);
  const given = words.filter((word) => word !== '--').length - (isBare(words) ? 0 : 1) > 0;
  const { entrypoint } = flags;
  const isCommand = given || flags.tty || entrypoint !== undefined;
  const { runDetached } = await import('../run/detached.ts');
  return await runDetached(context, {
    image,
    options: { ...machineOptions(flags), ...(hasNetwork && { network }) },
    ...(flags.name !== undefined && { name: flags.name }),
    ...(entrypoint !== undefined && { entrypoint }),
    ...(isCommand && {
      command: { argv: given || flags.tty ? argv : [], ...plainExec(flags), ...streamsOf(flags) },
    }),
  });
}

/** Of a command that runs on: who wants to talk to it attaches. */
function streamsOf({ tty, interactive }: AllFlags) {
  return { stdin: interactive === true, ...(tty && { tty: true as const }) };
}

function machineOptions(flags: AllFlags) {
  return {
    volumes: (flags.volume ?? []).map(volumeOf),
    ...(flags.memory !== undefined && { memoryMiB: memoryOf(flags.memory) }),
    ...(flags.cpus !== undefined && { cpus: cpusOf(flags.cpus) }),
    ...limitsOf(flags),
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
