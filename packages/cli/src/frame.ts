import { AnoleError } from '@anole/bytes';
import { Command } from 'commander';
import type { CommandContext } from './context.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import {
  type ProgressDisplay,
  plainProgress,
  silentProgress,
  terminalProgress,
} from './progress.ts';

interface GlobalOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

export interface ActOptions {
  /** Exit code of errors that `exit-codes.ts` does not name. Default 1. */
  readonly failure?: number;
  /** The command handles this signal itself: forwards it to a guest, or takes it for another wish. */
  readonly owns?: 'SIGINT' | 'SIGHUP';
}

type Handler = (context: CommandContext, ...args: never[]) => Promise<number>;

/**
 * Turns a handler into a commander action: builds the context, runs, prints errors, sets the exit
 * code. The handler gets the context and then what commander gives an action.
 */
export function act(
  handler: Handler,
  options: ActOptions = {},
): (...args: unknown[]) => Promise<void> {
  return async (...args) => {
    const command = args.at(-1);
    const global: GlobalOptions = command instanceof Command ? command.optsWithGlobals() : {};
    const display = displayFor(global);
    const interrupt = interruption(options.owns);
    process.exitCode = options.failure ?? exitCodes.failure; // until the handler has answered
    try {
      const context = contextOf(global, display, interrupt.signal);
      process.exitCode = await handler(context, ...(args as never[]));
    } catch (error) {
      display.end();
      const failed = interrupt.signal.aborted ? interrupt.signal.reason : error;
      printError(failed, global);
      process.exitCode = interrupt.exitCode() ?? exitCodeOf(failed, options.failure);
    } finally {
      display.end();
      interrupt.dispose();
    }
  };
}

function displayFor(global: GlobalOptions): ProgressDisplay {
  if (global.json || global.quiet) return silentProgress;
  const capable = process.stderr.isTTY && process.env['TERM'] !== 'dumb';
  return capable ? terminalProgress(process.stderr) : plainProgress(process.stderr);
}

function contextOf(
  global: GlobalOptions,
  display: ProgressDisplay,
  signal: AbortSignal,
): CommandContext {
  return {
    progress: (progress) => display.report(progress),
    signal,
    json: global.json ?? false,
    out(text) {
      display.clear();
      process.stdout.write(`${text}\n`);
    },
    err(text) {
      display.clear();
      process.stderr.write(`${text}\n`);
    },
    endProgress: () => display.end(),
  };
}

/** The launcher and the terminal may both deliver one Ctrl-C: what comes this soon is the same one. */
const sameInterrupt = 150; // ms

const signals = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/** Aborts at the first signal so that work is undone in order; a second one ends the process. */
function interruption(left: ActOptions['owns']) {
  const controller = new AbortController();
  let first: { at: number; exitCode: number } | undefined;
  const names = (Object.keys(signals) as (keyof typeof signals)[]).filter((name) => name !== left);
  const onSignal = (name: keyof typeof signals) => {
    const exitCode = 128 + signals[name];
    if (first === undefined) {
      first = { at: Date.now(), exitCode };
      controller.abort(new AnoleError('CLI_INTERRUPTED', `Stopped by ${name}`));
    } else if (Date.now() - first.at > sameInterrupt) process.exit(exitCode);
  };
  const listeners = names.map((name) => [name, () => onSignal(name)] as const);
  for (const [name, listener] of listeners) process.on(name, listener);
  return {
    signal: controller.signal,
    exitCode: () => first?.exitCode,
    dispose() {
      for (const [name, listener] of listeners) process.off(name, listener);
    },
  };
}

/** One shape for every failure: what could not be done, the next step, the code to look up. */
export function printError(error: unknown, global: GlobalOptions): void {
  const known = AnoleError.is(error);
  const message = error instanceof Error ? error.message : String(error);
  if (global.json) {
    const { code, details, hint } = known
      ? error
      : { code: 'INTERNAL', details: {}, hint: undefined };
    process.stderr.write(`${JSON.stringify({ error: { code, message, hint, details } })}\n`);
    return;
  }
  process.stderr.write(`anole: ${message}\n`);
  if (known && error.hint !== undefined) process.stderr.write(`  next: ${error.hint}\n`);
  if (known) process.stderr.write(`  code: ${error.code}\n`);
  if (!known || global.verbose) printStack(error);
}

function printStack(error: unknown): void {
  if (error instanceof Error && error.stack !== undefined) process.stderr.write(`${error.stack}\n`);
  if (error instanceof Error && error.cause !== undefined) {
    process.stderr.write('caused by:\n');
    printStack(error.cause);
  }
}

/** Raises a usage error: exit code 2, with the command to ask for help. */
export function usageError(message: string, command: string): AnoleError {
  return new AnoleError('CLI_USAGE', message, {
    hint: ['anole', command, '--help'].filter((word) => word !== '').join(' '),
    details: { exit: exitCodes.usage },
  });
}
