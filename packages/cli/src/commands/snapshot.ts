import { resolve } from 'node:path';
import { Sandbox } from '@anole/sandbox';
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { ask } from '../daemon/client.ts';
import { exitCodes } from '../exit-codes.ts';
import { act, usageError } from '../frame.ts';
import { durationOf, shareOf, volumeOf } from '../run/arguments.ts';
import { absolute, absoluteImage, make } from '../run/detached.ts';
import { Interrupts } from '../run/interrupts.ts';
import { addNetworkOptions, announcePorts, type NetworkFlags, networkOf } from '../run/network.ts';
import {
  addExecOptions,
  checkTerminal,
  type ExecFlags,
  interrupted,
  runSession,
} from '../run/session.ts';

const snapshotHelp = `
The file has all that the sandbox has in memory and wrote over its image, secrets too: only you can read
it. Not in it are its image and its volumes. It is there whole or not at all.

Examples:
  anole snapshot web web.anole
  anole snapshot --stop web web.anole`;

/** `anole snapshot`: saves a running sandbox in a file. */
export function snapshotCommand(): Command {
  return new Command('snapshot')
    .description('save a running sandbox in a file: memory, files and processes')
    .argument('<sandbox>', 'name, or beginning of an id')
    .argument('<file>', 'the file to write')
    .option('--stop', 'end the sandbox once it is saved')
    .addHelpText('after', snapshotHelp)
    .action(act(snapshot));
}

async function snapshot(
  context: CommandContext,
  name: string,
  file: string,
  { stop }: { readonly stop?: boolean },
): Promise<number> {
  const path = resolve(file);
  const { bytes } = await ask<{ bytes: number }>({ verb: 'snapshot', name, path });
  if (stop) await ask({ verb: 'kill', name });
  if (context.json) context.out(JSON.stringify({ path, bytes }));
  return 0;
}

interface RestoreFlags {
  readonly name?: string;
  readonly image?: string;
  readonly volume?: readonly string[];
  readonly trust?: boolean;
  readonly verify?: boolean;
  readonly cpuShare?: string;
  readonly lifetime?: string;
  readonly mirror?: string;
  readonly keyring?: string;
}

type AllFlags = RestoreFlags & ExecFlags & NetworkFlags;

const restoreHelp = `
The sandbox goes on where it was saved, with its own name, clock and random numbers, as often as you
like. Without a command it lives on and its name is printed: anole ps, exec, attach, logs … With one, the
command runs in a copy that ends with it.

A file grants nothing: give its volumes (-v) and its network again, or --trust it with those it had. An image
must be the very one that it had. What else it was bounded by stays so.

Examples:
  anole restore web.anole
  anole restore web.anole -p 8081:80 --name web-2
  anole restore warm.anole -- python3 -c 'print(6 * 7)'`;

/** `anole restore`: goes on with a sandbox of a file. */
export function restoreCommand(): Command {
  const command = new Command('restore')
    .description('go on with a sandbox that was saved in a file')
    .usage('[options] FILE [-- COMMAND [ARGUMENT...]]')
    .argument('<file>', 'what anole snapshot wrote')
    .argument('[command...]', 'a command, behind --')
    .option('--name <name>', 'name of the sandbox')
    .option('--image <image>', 'its image, where it is not where it was')
    .option(
      '-v, --volume <host:guest[:ro]>',
      'the directory or image for a volume that it had',
      append,
    )
    .option('--trust', 'give it the volumes, network and ports that the file says it had')
    .option('--verify', 'check the whole file first')
    .option('--cpu-share <share>', 'time of a processor it may take')
    .option('--lifetime <duration>', 'end it after, such as 10m');
  return addNetworkOptions(addExecOptions(command))
    .option('--mirror <uri>', 'Debian archive to make its image from')
    .option('--keyring <file>', "OpenPGP keys to trust instead of Debian's")
    .addHelpText('after', restoreHelp)
    .action(act(restore, { failure: exitCodes.runFailure, owns: 'SIGINT' }));
}

function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function restore(
  context: CommandContext,
  file: string,
  argv: readonly string[],
  flags: AllFlags,
): Promise<number> {
  const path = resolve(file);
  if (argv.length > 0) return await restoreAndRun(context, path, argv, flags);
  if (flags.tty || flags.interactive || flags.netLog) {
    throw usageError('Cannot use -t, -i or --net-log without a command', 'restore');
  }
  const { onEvent: _, ...network } = networkOf(flags, context) ?? {};
  const options = {
    ...optionsOf(flags),
    ...(flags.image !== undefined && { image: absoluteImage(flags.image) }),
    ...(Object.keys(network).length > 0 && { network }),
  };
  const name = flags.name === undefined ? {} : { name: flags.name };
  return await make(context, { verb: 'restore', path, ...name, options: absolute(options) });
}

async function restoreAndRun(
  context: CommandContext,
  path: string,
  argv: readonly string[],
  flags: AllFlags,
): Promise<number> {
  if (flags.name !== undefined) {
    throw usageError('Cannot name a sandbox that ends with its command', 'restore');
  }
  checkTerminal(flags, context, 'restore');
  using interrupts = new Interrupts(interrupted);
  const network = networkOf(flags, context);
  const begun = performance.now();
  const sandbox = await Sandbox.restore(path, {
    signal: AbortSignal.any([context.signal, interrupts.signal]),
    onProgress: context.progress,
    onNote: (note) => context.err(`anole: note: ${note}`),
    ...optionsOf(flags),
    ...(network && { network }),
  });
  const boot = performance.now() - begun;
  context.endProgress();
  announcePorts(sandbox.ports, flags.publish, context);
  return await runSession({ context, argv, flags, sandbox, interrupts, boot });
}

function optionsOf(flags: RestoreFlags) {
  const { image, trust, verify, cpuShare, lifetime, mirror, keyring } = flags;
  return {
    ...(image !== undefined && { image }),
    volumes: (flags.volume ?? []).map(volumeOf),
    ...(trust && { trust }),
    ...(verify && { verify }),
    ...(cpuShare !== undefined && { cpuShare: shareOf(cpuShare) }),
    ...(lifetime !== undefined && { lifetime: durationOf(lifetime) }),
    ...(mirror !== undefined && { mirror }),
    ...(keyring !== undefined && { keyring }),
  };
}
