import { join } from './limits.ts';
import { InputStream, OutputStream } from './streams.ts';
import { openFlags, toolsDirectory, withoutBlocking } from './system.ts';

/** A process that waits for what to become, and this side of its streams. */
export interface Launcher {
  readonly pid: number;
  /** Takes the request, then standard input. */
  readonly input: InputStream;
  readonly outputs: readonly OutputStream[];
}

/**
 * When the next process is started, since it would take its time from what the command says first: once the
 * command has ended, which a short one has soon, however slow the computer is; or after a while.
 */
const pauses = { atLatest: 500, afterEnd: 10 } as const; // ms

let ready: Launcher | undefined;
/** The timer, and the pause that it was set for. */
let waiting: { readonly timer: unknown; readonly pause: number } | undefined;

/** A process to become a command; the one that was started ahead where there is one. */
export function takeLauncher(): Launcher {
  const launcher = ready ?? start();
  ready = undefined;
  prepareIn(pauses.atLatest);
  return launcher;
}

/** A command has ended, and the host was told. */
export function prepareAfterEnd(): void {
  if (ready === undefined) prepareIn(pauses.afterEnd);
}

/** Starts a process ahead: starting one takes longer than becoming a command. */
export function prepareLauncher(): void {
  try {
    ready ??= start();
  } catch {
    // For want of memory, processes or descriptors: whoever needs it tries again.
  }
}

function prepareIn(pause: number): void {
  if (waiting !== undefined) {
    if (waiting.pause <= pause) return;
    os.clearTimeout(waiting.timer);
  }
  const timer = os.setTimeout(() => {
    waiting = undefined;
    prepareLauncher();
  }, pause);
  waiting = { timer, pause };
}

/** The process that was started ahead has ended: somebody killed it. */
export function launcherEnded(pid: number): void {
  if (ready?.pid !== pid) return;
  ready.input.close();
  for (const output of ready.outputs) output.close();
  ready = undefined;
  prepareIn(pauses.afterEnd);
}

function start(): Launcher {
  const pipes = [0, 1, 2].map(() => os.pipe());
  const [input, output, error] = pipes;
  if (!input || !output || !error) {
    for (const fd of pipes.flatMap((pipe) => pipe ?? [])) os.close(fd);
    throw new Error('no pipe could be opened');
  }
  const streams = { stdin: input[0], stdout: output[1], stderr: error[1] };
  const file = `${toolsDirectory}/launch`;
  const pid = os.exec(['anole'], { block: false, usePath: false, file, env: {}, ...streams });
  for (const fd of Object.values(streams)) os.close(fd);
  const own = [input[1], output[0], error[0]] as const;
  if (pid < 0) {
    for (const fd of own) os.close(fd);
    throw new Error(`no process could be started: errno ${-pid}`);
  }
  join(pid);
  return {
    pid,
    input: new InputStream(withoutBlocking(own[0], openFlags.writeOnly)),
    outputs: [
      new OutputStream(1, withoutBlocking(own[1], openFlags.readOnly)),
      new OutputStream(2, withoutBlocking(own[2], openFlags.readOnly)),
    ],
  };
}
