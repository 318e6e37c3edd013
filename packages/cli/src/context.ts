import type { OnProgress } from '@anole/bytes';

/** What the frame of the command line gives each command. */
export interface CommandContext {
  /** Draws on a terminal, prints plain lines elsewhere, stays silent with `--quiet` or `--json`. */
  readonly progress: OnProgress;
  /** Aborts at Ctrl-C, SIGTERM and SIGHUP. */
  readonly signal: AbortSignal;
  /** The user asked for JSON on standard output. */
  readonly json: boolean;
  /** Prints a line on standard output, after clearing any progress. */
  out(text: string): void;
  /** Prints a line on standard error, after clearing any progress. */
  err(text: string): void;
  /** Ends drawing of progress: call it before a program takes over the terminal. */
  endProgress(): void;
}
