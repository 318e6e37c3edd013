import type { AnoleError } from '@anole/bytes';
import { bundle } from '@anole/bytes/threads';
import { Command, CommanderError } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { exitCodes } from './exit-codes.ts';
import { printError, usageError } from './frame.ts';

interface Verb {
  readonly summary: string;
  load(): Promise<Command>;
}

/** A verb of `commands/sandboxes.ts`. */
function sandboxVerb(name: keyof typeof import('./commands/sandboxes.ts'), summary: string): Verb {
  return { summary, load: async () => (await import('./commands/sandboxes.ts'))[name]() };
}

/** Every verb, loaded only when it is the one asked for: start-up stays short. */
const verbs: Readonly<Record<string, Verb>> = {
  run: {
    summary: 'run a command in a virtual machine',
    load: async () => {
      // The machine's thread loads while this one does, and looks at a thousand files.
      (await import('@anole/sandbox/threads')).warmUp();
      bundle()?.check();
      return (await import('./commands/run.ts')).runCommand();
    },
  },
  ps: sandboxVerb('psCommand', 'list sandboxes that live on'),
  exec: {
    summary: 'run a command in a sandbox that lives on',
    load: async () => (await import('./commands/exec.ts')).execCommand(),
  },
  attach: {
    summary: "talk to a sandbox's command",
    load: async () => (await import('./commands/attach.ts')).attachCommand(),
  },
  pause: sandboxVerb('pauseCommand', 'have a sandbox stand still'),
  resume: sandboxVerb('resumeCommand', 'let a paused sandbox go on'),
  kill: sandboxVerb('killCommand', 'end sandboxes at once'),
  fork: sandboxVerb('forkCommand', 'copy a running sandbox'),
  snapshot: {
    summary: 'save a running sandbox in a file',
    load: async () => (await import('./commands/snapshot.ts')).snapshotCommand(),
  },
  restore: {
    summary: 'go on with a sandbox of a file',
    load: async () => (await import('./commands/snapshot.ts')).restoreCommand(),
  },
  logs: sandboxVerb('logsCommand', "print what a sandbox's command printed"),
  stats: sandboxVerb('statsCommand', 'say what a sandbox takes'),
  cp: {
    summary: 'copy files into a sandbox, or out of it',
    load: async () => (await import('./commands/cp.ts')).cpCommand(),
  },
  serve: {
    summary: "serve sandboxes over E2B's protocol",
    load: async () => (await import('./commands/serve.ts')).serveCommand(),
  },
  mcp: {
    summary: 'serve sandboxes to agents over the Model Context Protocol',
    load: async () => (await import('./commands/mcp.ts')).mcpCommand(),
  },
  daemon: {
    summary: 'hold sandboxes that live on (started when it is needed)',
    load: async () => (await import('./commands/daemon.ts')).daemonCommand(),
  },
  os: {
    summary: 'compose OS images from packages',
    load: async () => (await import('./commands/os.ts')).osCommand(),
  },
  fs: {
    summary: 'make and read EROFS images',
    load: async () => (await import('./commands/fs.ts')).fsCommand(),
  },
  image: {
    summary: 'pull, push, copy and inspect container images',
    load: async () => (await import('./commands/image.ts')).imageCommand(),
  },
  nydus: {
    summary: 'make and read RAFS images, the format of Nydus',
    load: async () => (await import('./commands/nydus.ts')).nydusCommand(),
  },
  containerd: {
    summary: 'have containerd, and Kubernetes, load images on demand',
    load: async () => (await import('./commands/containerd.ts')).containerdCommand(),
  },
  machine: {
    summary: 'run kernels and bare-metal programs in the RISC-V machine',
    load: async () => (await import('./commands/machine.ts')).machineCommand(),
  },
  demo: {
    summary: 'run a machine in a page of your browser',
    load: async () => (await import('./commands/demo.ts')).demoCommand(),
  },
  smc: {
    summary: 'have programs use shared memory (SMC), and explain what they do',
    load: async () => (await import('./commands/smc.ts')).smcCommand(),
  },
  doctor: {
    summary: 'say what this computer offers and what is missing',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  },
  completion: {
    summary: 'print a completion script for your shell',
    load: async () => (await import('./commands/completion.ts')).completionCommand(allVerbs),
  },
};

/** The whole command with every verb loaded, for completion. */
async function allVerbs(): Promise<Command> {
  const program = newProgram();
  for (const verb of Object.values(verbs)) program.addCommand(await verb.load());
  forEachCommand(program, [], addGlobalOptions);
  return program;
}

/** Runs one command line (`process.argv`'s shape) and leaves its result in `process.exitCode`. */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  const program = newProgram();
  const wanted = argv.slice(2).find((word) => !word.startsWith('-'));
  // Before a command does anything: this throws what `bin/anole.js` waits for, to go on with the sources.
  if (wanted !== 'run') bundle()?.check();
  for (const [name, verb] of Object.entries(verbs)) {
    if (name === wanted) program.addCommand(await verb.load());
    else program.command(name, { hidden: false }).description(verb.summary).allowUnknownOption();
  }
  const json = argv.includes('--json');
  // Where the first word is one of them, the others are not even listed.
  const isOne = wanted !== undefined && argv[2] === wanted && wanted in verbs;
  forEachCommand(program, [], (command, path) => {
    if (isOne && path.length > 0 && path[0] !== wanted) return;
    addGlobalOptions(command);
    checkRequiredLast(command);
    command.exitOverride().configureOutput({
      outputError: (text) => printError(asUsageError(text, path), { json }),
    });
  });
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : exitCodes.usage;
  }
}

function newProgram(): Command {
  const program = new Command('anole')
    .description(
      'Compose an OS image from packages, ship it as EROFS, run it in a machine in this process.',
    )
    .version(packageJson.version)
    .enablePositionalOptions()
    .addHelpText(
      'after',
      '\nExamples:\n  anole run -- uname -a\n  anole os build base -o base.erofs\n  anole fs ls -l base.erofs /etc',
    );
  addGlobalOptions(program);
  return program;
}

/** Options of the frame, which every command takes too: before or after its name. */
function addGlobalOptions(command: Command): void {
  const options = [
    ['--json', 'print results as JSON'],
    ['-q, --quiet', 'no progress'],
    ['--verbose', 'print stacks of errors'],
  ] as const;
  for (const [flags, description] of options) {
    const long = flags.slice(flags.indexOf('--'));
    if (command.options.every((option) => option.long !== long)) command.option(flags, description);
  }
}

/** Required options are asked for last: commander would say nothing of unknown ones before. */
function checkRequiredLast(command: Command): void {
  const required = command.options.filter(({ mandatory }) => mandatory);
  for (const option of required) {
    option.mandatory = false;
    command.hook('preAction', () => {
      if (command.getOptionValue(option.attributeName()) !== undefined) return;
      command.error(`error: required option '${option.flags}' not specified`);
    });
  }
}

function forEachCommand(
  command: Command,
  path: readonly string[],
  visit: (command: Command, path: readonly string[]) => void,
): void {
  visit(command, path);
  for (const child of command.commands) forEachCommand(child, [...path, child.name()], visit);
}

/** What the parser says, in the shape of every other failure. */
function asUsageError(text: string, path: readonly string[]): AnoleError {
  const said = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ');
  const message = `Cannot understand the command line: ${said}`;
  return usageError(message, path.join(' '));
}
