import type { SandboxCommand } from '@anole/sandbox';

/** What signals are passed on to. */
export type Killable = Pick<SandboxCommand, 'kill'>;

/** Signals that go to the command: what a user or a supervisor sends it. */
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** The launcher and the terminal may deliver one Ctrl-C twice: what comes this soon is the same. */
const sameInterrupt = 150; // ms

/** How long a command that was told to end may take, as with docker stop. */
const grace = 10_000; // ms

/**
 * What signals mean to `anole run`: before the command runs, an interrupt gives up; then each goes
 * to the command; a second interrupt kills it, and so does the end of a grace after SIGTERM or SIGHUP.
 */
export class Interrupts implements Disposable {
  readonly #controller = new AbortController();
  readonly #listeners: (readonly [(typeof forwarded)[number], () => void])[];
  #command: Killable | undefined;
  #last = Number.NEGATIVE_INFINITY;
  #count = 0;

  /** @param reason of the abort: what to tell the user who gave up */
  constructor(reason: () => Error) {
    this.#listeners = forwarded.map((name) => [name, () => this.#take(name, reason)] as const);
    for (const [name, listener] of this.#listeners) process.on(name, listener);
  }

  /** Aborts when the user gives up. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now on signals go to the command. */
  forward(command: Killable): void {
    this.#command = command;
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) process.off(name, listener);
  }

  #take(name: (typeof forwarded)[number], reason: () => Error): void {
    const now = Date.now();
    if (name === 'SIGINT') {
      if (now - this.#last < sameInterrupt) return;
      this.#last = now;
      this.#count++;
    }
    if (this.#command === undefined || this.#count > 1) this.#controller.abort(reason());
    else this.#command.kill(name);
    if (name === 'SIGTERM' || name === 'SIGHUP') {
      setTimeout(() => this.#controller.abort(reason()), grace).unref();
    }
  }
}
