import type { ExitReport, SpawnRequest } from './agent/wire.ts';
import { ByteStream, collect } from './client/byte-stream.ts';
import type { GuestCommand } from './client/guest-command.ts';
import type { Terminal, TerminalSize } from './engine/engine.ts';
import { SandboxError } from './errors.ts';
import { chunksOf, type Input } from './input.ts';
import { outputError } from './lifecycle.ts';
import type { Traits } from './order.ts';
import { type SignalName, signalName, signalNumber } from './signals.ts';

export interface ExecOptions {
  /** Added to the image's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory, absolute, in the image. Default the image's own, else `/`. */
  readonly cwd?: string;
  /** `user[:group]`, each by name or number, as in the image's /etc/passwd. Default the image's own, else root. */
  readonly user?: string;
  /** Default: /dev/null, or nothing with a terminal. */
  readonly stdin?: Input;
  /** Gives the command a terminal; both its outputs then are `stdout`. */
  readonly tty?: boolean | TerminalSize;
  /** Milliseconds after which the command is killed and `exit` raises `SANDBOX_TIMEOUT`. */
  readonly timeout?: number;
  /** Bytes of output after which the command is killed and `exit` raises `SANDBOX_OUTPUT`. */
  readonly maxOutput?: number;
  /** Kills the command; `exit` then raises the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What the agent is asked. @param terminal name of the terminal that the command gets */
export function spawnRequest(
  argv: readonly string[],
  options: ExecOptions,
  { environment, execution }: Pick<Traits, 'environment' | 'execution'>,
  terminal: string | undefined,
): SpawnRequest {
  const own = terminal === undefined ? {} : { TERM: 'xterm' };
  const { user = execution.user } = options;
  return {
    argv,
    env: { ...own, ...environment, ...options.env },
    cwd: options.cwd ?? execution.workingDirectory ?? '/',
    stdin: terminal === undefined && options.stdin !== undefined,
    ...(user !== undefined && { user }),
    ...(terminal !== undefined && { terminal }),
  };
}

/** Bytes that `output` keeps unless told otherwise. */
const maxKept = 256 << 20;

/** How a command ended. */
export interface CommandExit {
  /** As a shell would say it: the command's own code, or 128 plus the number of the signal. */
  readonly code: number;
  /** The signal that ended it, where it has a name. */
  readonly signal?: SignalName;
  /** The guest's kernel killed a process of it for want of memory. */
  readonly outOfMemory?: boolean;
  /** The guest's kernel refused it a process: there were as many as the sandbox may have. */
  readonly outOfProcesses?: boolean;
}

/**
 * A command that runs in a sandbox. Its outputs are read once each, and hold the command up while
 * nobody reads (about 256 KiB on); `for await … break` throws the rest away.
 */
export class SandboxCommand {
  readonly stdout: AsyncIterableIterator<Uint8Array>;
  readonly stderr: AsyncIterableIterator<Uint8Array>;
  /**
   * Resolves at the command's end, also where a signal ended it. What it wrote before is then in
   * the streams; processes it left behind may still write to them.
   *
   * @throws SandboxError `SANDBOX_TIMEOUT`, `SANDBOX_OUTPUT`, `SANDBOX_CLOSED`, `SANDBOX_PANIC`,
   * `SANDBOX_OUT_OF_MEMORY`; the reason of an aborted signal; what the input threw
   */
  readonly exit: Promise<CommandExit>;
  readonly #guest: GuestCommand;
  readonly #terminal: Terminal | undefined;
  readonly #shown: ByteStream;
  /** Bytes of output that it may still write. */
  #left = Number.POSITIVE_INFINITY;
  /** Told of a limit that the command met. */
  onLimit: (limit: 'output' | 'time') => void = () => {};
  readonly #cut = Promise.withResolvers<never>();

  /** Of its first process, in the guest. */
  get pid(): number {
    return this.#guest.pid;
  }

  /** Number of the command in its sandbox and in the forks of it. */
  get id(): number {
    return this.#guest.id;
  }

  constructor(guest: GuestCommand, options: ExecOptions, terminal?: Terminal) {
    this.#guest = guest;
    this.#terminal = terminal;
    const shown = terminal === undefined ? guest.stdout : terminalOutput(terminal);
    this.#shown = shown;
    this.stdout = shown;
    this.stderr = guest.stderr;
    this.exit = this.#supervise(options, shown);
    this.exit.catch(() => {});
    this.#cut.promise.catch(() => {});
    if (options.maxOutput !== undefined) this.#bound(options.maxOutput);
    if (options.stdin !== undefined) void this.#feed(options.stdin);
  }

  /** Sends a signal to all processes of the command's group. */
  kill(signal: SignalName | number = 'SIGTERM'): void {
    this.#guest.signal(signalNumber(signal));
  }

  /** Tells the command's terminal its new size. */
  resize(size: TerminalSize): void {
    if (this.#terminal?.resize) this.#terminal.resize(size);
    else this.#guest.resize(size.columns, size.rows);
  }

  /**
   * Reads both outputs to their ends, and keeps all: at most `maxOutput` bytes (default 256 MiB), or
   * the command is killed.
   */
  async output({ maxOutput = maxKept }: Pick<ExecOptions, 'maxOutput'> = {}): Promise<{
    exit: CommandExit;
    stdout: Uint8Array;
    stderr: Uint8Array;
  }> {
    this.#bound(maxOutput);
    const streams = Promise.all([collect(this.stdout), collect(this.stderr)]);
    streams.catch(() => {});
    const exit = await this.exit;
    const [stdout, stderr] = await streams;
    return { exit, stdout, stderr };
  }

  async #supervise(options: ExecOptions, shown: ByteStream): Promise<CommandExit> {
    const { signal, timeout } = options;
    const onAbort = () => this.#stop(signal?.reason);
    const timer =
      timeout === undefined ? undefined : setTimeout(() => this.#late(timeout), timeout);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return exitOf(await Promise.race([this.#guest.exit, this.#cut.promise]));
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      if (this.#terminal !== undefined) shown.end();
      this.#terminal?.release();
    }
  }

  #late(timeout: number): void {
    this.onLimit('time');
    this.#stop(timeoutError(timeout));
  }

  /** Kills the command when it writes more than so many bytes from now on. */
  #bound(maxOutput: number): void {
    if (maxOutput >= this.#left) return;
    this.#left = maxOutput;
    const count = (bytes: number) => {
      this.#left -= bytes;
      if (this.#left >= 0 || this.#left + bytes < 0) return;
      this.onLimit('output');
      this.#stop(outputError(maxOutput));
    };
    this.#shown.observe = count;
    this.#guest.stderr.observe = count;
  }

  /** Kills the command; its `exit` raises the reason. */
  #stop(reason: unknown): void {
    this.#cut.reject(reason);
    this.#guest.signal(signalNumber('SIGKILL'));
  }

  async #feed(input: Input): Promise<void> {
    const iterator = chunksOf(input);
    const leave = () => void iterator.return(undefined).catch(() => {});
    this.exit.then(leave, leave);
    try {
      for (let step = await iterator.next(); !step.done; step = await iterator.next()) {
        const bytes = typeof step.value === 'string' ? encoder.encode(step.value) : step.value;
        if (this.#terminal !== undefined) await this.#terminal.send(bytes.slice());
        else if (!(await this.#guest.write(bytes))) break;
      }
    } catch (error) {
      this.#stop(error);
    }
    if (this.#terminal === undefined) this.#guest.endInput();
    leave();
  }
}

const encoder = new TextEncoder();

function terminalOutput(terminal: Terminal): ByteStream {
  const stream = new ByteStream((bytes) => terminal.consumed(bytes));
  terminal.receive((bytes) => stream.push(bytes));
  return stream;
}

function exitOf(report: ExitReport): CommandExit {
  if (report.signal === undefined) {
    return { code: report.code ?? 0, ...(report.outOfProcesses && { outOfProcesses: true }) };
  }
  const name = signalName(report.signal);
  return {
    code: 128 + report.signal,
    ...(name !== undefined && { signal: name }),
    ...(report.outOfMemory && { outOfMemory: true }),
  };
}

function timeoutError(timeout: number): SandboxError {
  return new SandboxError(
    'SANDBOX_TIMEOUT',
    `Cannot let the command run longer: its ${timeout / 1000} s are over, it was killed`,
    { details: { timeout } },
  );
}
