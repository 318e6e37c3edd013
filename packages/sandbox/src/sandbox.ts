import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { AnoleError, type CallOptions } from '@anole/bytes';
import type { Configuration, SpawnRequest } from './agent/wire.ts';
import {
  checkArguments,
  checkLifetime,
  checkRange,
  checkShare,
  configuration,
  forkName,
  volumeSource,
} from './checks.ts';
import { AgentClient } from './client/agent-client.ts';
import { type ExecOptions, SandboxCommand } from './command.ts';
import type { ImageExecution } from './container-image.ts';
import { endError } from './end.ts';
import type { Engine, Terminal, TerminalSize } from './engine/engine.ts';
import { MachineEngine } from './engine/machine-engine.ts';
import { SandboxError } from './errors.ts';
import { SandboxFiles } from './files/files.ts';
import {
  lifetimeError,
  type SandboxEvents,
  type SandboxState,
  type SandboxStats,
  within,
} from './lifecycle.ts';
import type { NetworkOptions, NetworkOrder, PublishedPort } from './network/options.ts';
import { type PrepareOptions, prepare } from './prepare.ts';
import { rehearsalFor } from './rehearsal-order.ts';
import { templateFor } from './template-file.ts';

/** A directory of the host that the guest sees. */
export interface Volume {
  readonly host: string;
  /** Absolute, in the guest. Made where it is missing. */
  readonly guest: string;
  readonly readOnly?: boolean;
}

export interface SandboxOptions extends CallOptions, PrepareOptions {
  /** Memory of the guest in MiB, 96 to 3072. Default 512. */
  readonly memoryMiB?: number;
  /** Processors of the guest, 1 to 16: each has a thread. Default 1, which is the fastest one. */
  readonly cpus?: number;
  /** Bytes that the guest may write over its image, kept in this process. Default 4 GiB. */
  readonly maxWritten?: number;
  readonly volumes?: readonly Volume[];
  readonly hostname?: string;
  /**
   * Keep the booted machine as a template in the cache, and start from one that is there: default
   * true. A machine of another kernel, memory size or number of devices has its own.
   */
  readonly template?: boolean;
  /** Time of a processor that the guest may take: 0.5 is half of one. Default: all of its own. */
  readonly cpuShare?: number;
  /** Processes and threads that commands may have at once. Default 1024. */
  readonly maxProcesses?: number;
  /** Milliseconds after which the sandbox ends, and all commands raise `SANDBOX_TIMEOUT`. */
  readonly lifetime?: number;
  /** Commands with a terminal that may run at once, at most 15. Default 2. */
  readonly terminals?: number;
  /**
   * Default false: nothing but the guest's own loopback. With true the public Internet is open, and
   * neither this computer nor private networks. See `docs/guides/network.md`.
   */
  readonly network?: boolean | NetworkOptions;
}

export interface ForkOptions extends CallOptions {
  /** Default: the name of the sandbox with a number. */
  readonly hostname?: string;
}

export type AttachOptions = Pick<ExecOptions, 'stdin' | 'timeout' | 'signal'>;

type Events = { -readonly [K in keyof SandboxEvents]: SandboxEvents[K] };

/** What a sandbox is besides its machine. */
interface Traits {
  readonly writesVolumes: boolean;
  readonly environment: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly execution: ImageExecution;
}

/** Of images that say nothing of it. */
const plainExecution: ImageExecution = { entrypoint: [], cmd: [] };

const defaultMemory = 512;
/** With less, Debian's kernel gives up before it can tell anyone. */
const leastMemory = 96; // MiB
const defaultProcesses = 1024;
/** How long a guest may take to say how it is. */
const statsPatience = 2000; // ms
const defaultMaxWritten = 4 * 2 ** 30;
/** How long a guest that is closed may take to write what it has to volumes. */
const closePatience = 30_000; // ms
const bootPatience = 120_000; // ms
const defaultSize: TerminalSize = { columns: 80, rows: 24 };

/**
 * A virtual machine of an image, in which commands run. What they write stays in the sandbox and is
 * gone when it closes, volumes aside.
 *
 * @example
 * await using sandbox = await Sandbox.create('os:base');
 * const { exit, stdout } = await (await sandbox.exec(['uname', '-m'])).output();
 */
export class Sandbox extends EventEmitter<Events> implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #client: AgentClient;
  readonly #writesVolumes: boolean;
  /** Variables the image gives every command. */
  readonly environment: Readonly<Record<string, string>>;
  /** The guest's name for itself. */
  readonly hostname: string;
  /** How the maker of a container image wants commands to run: `exec` takes directory and user of it. */
  readonly execution: ImageExecution;
  /** Its files: its image with what was written over it, and its volumes. */
  readonly files: SandboxFiles;
  readonly #begun = Date.now();
  #state: SandboxState = 'running';
  #lifetime: NodeJS.Timeout | undefined;
  #forks = 0;
  #closing: Promise<void> | undefined;

  /** @param next number of its next command */
  private constructor(engine: Engine, traits: Traits, next?: number) {
    super();
    this.#engine = engine;
    this.#writesVolumes = traits.writesVolumes;
    this.environment = traits.environment;
    this.hostname = traits.hostname;
    this.execution = traits.execution;
    this.#client = new AgentClient(engine.agent, next);
    this.files = new SandboxFiles(engine.files, this.#client);
    this.#client.onLimit = (limit) => this.emit('limit', limit);
    engine.onLimit = (limit) => this.emit('limit', limit);
    void engine.ended.then((end) => {
      const error = endError(end);
      this.#client.fail(error);
      this.#end({ reason: end.reason, ...(end.reason !== 'closed' && { error }) });
    });
  }

  /**
   * Boots a sandbox: resolves when it takes commands.
   *
   * @param image `os:NAME` for a recipe; a container image of this computer (`HOST/NAME:TAG`), of a
   * registry (`docker://HOST/NAME:TAG`) or of a layout (`oci:PATH`); or the path of an EROFS image, a
   * tar archive, a directory
   * @throws SandboxError, and what making the image throws (ArchiveError, SolveError, HostError …)
   */
  static async create(image: string, options: SandboxOptions = {}): Promise<Sandbox> {
    const volumes = (options.volumes ?? []).map(volumeSource);
    const memoryMiB = checkRange(
      'memory',
      'MiB',
      options.memoryMiB ?? defaultMemory,
      leastMemory,
      3072,
    );
    const cpus = checkRange('processors', '', options.cpus ?? 1, 1, 16);
    const terminals = checkRange('terminals', '', options.terminals ?? 2, 0, 15);
    if (options.lifetime !== undefined) checkLifetime(options.lifetime);
    const processes = options.maxProcesses ?? defaultProcesses;
    const maxProcesses = checkRange('processes', '', processes, 1, 4_194_304);
    const network = options.network ? await orderOf(options.network) : undefined;
    const hasNetwork = network !== undefined;
    const parts = await prepare(image, options, hasNetwork);
    const { environment, hostname, execution, modules, ...files } = parts;
    const driver = modules === undefined ? {} : { modules };
    const shape = { memoryMiB, cpus, terminals, volumes: volumes.length };
    const kind = [{ ...files, ...driver }, shape, options] as const;
    const template = options.template === false ? undefined : await templateFor(...kind);
    const rehearsed = template && (await rehearsalFor({ ...files, environment }, kind));
    const order = {
      ...files,
      ...(network && modules !== undefined && { network: { ...network, modules } }),
      volumes,
      memoryMiB,
      cpus,
      terminals,
      maxWritten: options.maxWritten ?? defaultMaxWritten,
      ...(options.cpuShare !== undefined && { cpuShare: checkShare(options.cpuShare) }),
      ...(template && { template }),
      ...(rehearsed && { rehearsed }),
    };
    const traits = {
      writesVolumes: volumes.some((volume) => !volume.readOnly),
      environment,
      hostname: options.hostname ?? hostname,
      execution: execution ?? plainExecution,
    };
    const onEvent = typeof options.network === 'object' ? options.network.onEvent : undefined;
    const start = async () => {
      const sandbox = new Sandbox(new MachineEngine(order, onEvent), traits);
      await sandbox.#booted(options, () => ({
        ...configuration(traits.hostname, volumes),
        maxProcesses,
      }));
      sandbox.setLifetime(options.lifetime);
      // Container tools make it where the image lacks it.
      const { workingDirectory } = traits.execution;
      if (workingDirectory !== undefined) await sandbox.files.mkdir(workingDirectory);
      return sandbox;
    };
    try {
      return await start();
    } catch (error) {
      if (!AnoleError.is(error) || error.code !== 'MACHINE_SNAPSHOT_DAMAGED') throw error;
      // The template is gone now: this one boots, and makes another.
      return await start();
    }
  }

  /**
   * Starts a command: resolves when it runs. Many may run at once.
   *
   * @throws SandboxError `SANDBOX_NOT_FOUND`, `SANDBOX_NOT_EXECUTABLE`, `SANDBOX_NO_DIRECTORY`,
   * `SANDBOX_NO_USER`, `SANDBOX_RESOURCES`, `SANDBOX_CLOSED` …
   */
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<SandboxCommand> {
    checkArguments(argv, options);
    options.signal?.throwIfAborted();
    this.#checkRunning();
    const terminal = options.tty ? await this.#engine.openTerminal() : undefined;
    try {
      const size = typeof options.tty === 'object' ? options.tty : defaultSize;
      terminal?.resize?.(size);
      const guest = this.#client.spawn(this.#request(argv, options, terminal));
      await guest.started;
      if (terminal !== undefined && terminal.resize === undefined) {
        guest.resize(size.columns, size.rows);
      }
      return this.#watched(new SandboxCommand(guest, options, terminal));
    } catch (error) {
      terminal?.release();
      throw error;
    }
  }

  /**
   * Makes a copy of the sandbox as it is now, which goes on by itself: its memory, its files and its
   * processes are its own from here on, and so are its random numbers, clock, hostname and machine id.
   * Volumes are the same directories for both. May be called again and again, also of a copy.
   *
   * Commands run on in the copy, too. Their streams stay with this sandbox; the copy's side of them is
   * had by {@link attach}. A command with a terminal is hung up in the copy.
   *
   * @throws SandboxError `SANDBOX_CLOSED` …
   */
  async fork(options: ForkOptions = {}): Promise<Sandbox> {
    options.signal?.throwIfAborted();
    const hostname = options.hostname ?? forkName(this.hostname, ++this.#forks);
    const engine = await this.#engine.fork();
    const traits = {
      writesVolumes: this.#writesVolumes,
      environment: this.environment,
      hostname,
      execution: this.execution,
    };
    const copy = new Sandbox(engine, traits, this.#client.next);
    const machineId = randomBytes(16).toString('hex');
    await copy.#booted(options, () => ({ ...configuration(hostname, []), fork: { machineId } }));
    return copy;
  }

  /**
   * In a fork: the copy of a command that ran in the sandbox it was made of. Its streams begin with
   * what the agent had not taken yet when the fork was made. Until it is attached, a command that
   * writes much waits, as any whose output nobody reads.
   *
   * @throws SandboxError `SANDBOX_NOT_FOUND` where it had ended, or has
   */
  attach(command: SandboxCommand, options: AttachOptions = {}): SandboxCommand {
    const guest = this.#client.command(command.id);
    if (guest === undefined) {
      throw new SandboxError('SANDBOX_NOT_FOUND', `Cannot find command ${command.id}: it ended`);
    }
    return this.#watched(new SandboxCommand(guest, options));
  }

  /** Has all of it stand still; its clock goes on. Files can be read and written meanwhile. */
  pause(): void {
    this.#checkRunning();
    this.#state = 'paused';
    this.files.still = true;
    this.#engine.pause();
    this.emit('paused');
  }

  /**
   * A tar archive of its root, as it is at one moment: it stands still meanwhile. See
   * {@link SandboxFiles.archive}.
   */
  async *archive(
    what: 'changes' | 'all',
    options: Pick<CallOptions, 'signal'> = {},
  ): AsyncGenerator<Uint8Array> {
    const wasRunning = this.#state === 'running';
    if (wasRunning) {
      await this.files.sync();
      this.pause();
    }
    try {
      yield* this.files.archive(what, options);
    } finally {
      if (wasRunning) this.resume();
    }
  }

  /** Lets it go on. */
  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    this.files.still = false;
    this.#engine.resume();
    this.emit('resumed');
  }

  get state(): SandboxState {
    return this.#state;
  }

  /** What it took so far. */
  async stats(): Promise<SandboxStats> {
    const engine = await this.#engine.statistics();
    const asked = this.#state === 'running' ? this.#client.statistics() : undefined;
    const guest = asked && (await within(asked, statsPatience));
    const { total = 0, available = 0 } = guest?.memory ?? {};
    return {
      state: this.#state,
      uptime: Date.now() - this.#begun,
      cpu: {
        used: engine.cpuMilliseconds,
        throttled: engine.throttledMilliseconds,
        instructions: engine.instructions,
      },
      disk: { written: engine.written, max: engine.maxWritten },
      ...(guest && {
        memory: { total: total * 1024, available: available * 1024 },
        processes: guest.processes,
      }),
    };
  }

  /** Has the sandbox end so many milliseconds from now. Undefined: only when it is closed. */
  setLifetime(lifetime: number | undefined): void {
    if (lifetime !== undefined) checkLifetime(lifetime);
    clearTimeout(this.#lifetime);
    if (lifetime === undefined || this.#state === 'ended') return;
    this.#lifetime = setTimeout(() => this.#timeOut(lifetime), lifetime).unref();
  }

  /** Bounds its time of a processor from now on; see `cpuShare` of the options. */
  setCpuShare(share: number | undefined): void {
    this.#engine.share(share === undefined ? undefined : checkShare(share));
  }

  /** Ends it at once, whatever it does: also what it had still to write to volumes is gone. */
  async kill(): Promise<void> {
    this.#client.fail(new SandboxError('SANDBOX_CLOSED', 'Cannot go on: the sandbox was killed'));
    this.#closing ??= this.#engine.close();
    await this.#closing;
  }

  /**
   * Connects to a TCP port of the guest, without a port of this computer.
   *
   * @throws SandboxError `SANDBOX_BAD_OPTION` where it has no network
   */
  connect(port: number): Duplex {
    checkRange('port', '', port, 1, 65535);
    const stream = this.#engine.connect(port);
    if (stream !== undefined) return stream;
    throw new SandboxError('SANDBOX_BAD_OPTION', `Cannot connect to port ${port}: no network`, {
      hint: 'Create the sandbox with `network`',
    });
  }

  /** Ports of this computer that lead to the guest: `network.publish`, with the numbers of free ones. */
  get ports(): readonly PublishedPort[] {
    return this.#engine.ports;
  }

  /** Stops the machine at once and frees all it held; volumes get what was written to them. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #request(
    argv: readonly string[],
    options: ExecOptions,
    terminal: Terminal | undefined,
  ): SpawnRequest {
    const own = terminal === undefined ? {} : { TERM: 'xterm' };
    const { user = this.execution.user } = options;
    return {
      argv,
      env: { ...own, ...this.environment, ...options.env },
      cwd: options.cwd ?? this.execution.workingDirectory ?? '/',
      stdin: terminal === undefined && options.stdin !== undefined,
      ...(user !== undefined && { user }),
      ...(terminal !== undefined && { terminal: terminal.name }),
    };
  }

  #checkRunning(): void {
    if (this.#state !== 'paused') return;
    throw new SandboxError('SANDBOX_PAUSED', 'Cannot do that: the sandbox is paused', {
      hint: 'Resume it first',
    });
  }

  #watched(command: SandboxCommand): SandboxCommand {
    command.onLimit = (limit) => this.emit('limit', limit);
    return command;
  }

  #timeOut(lifetime: number): void {
    const error = lifetimeError(lifetime);
    this.emit('limit', 'time');
    this.#client.fail(error);
    this.#end({ reason: 'timeout', error });
    this.#closing ??= this.#engine.close();
  }

  #end(end: SandboxEvents['ended'][0]): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    clearTimeout(this.#lifetime);
    this.emit('ended', end);
  }

  async #close(): Promise<void> {
    if (this.#writesVolumes) {
      this.resume();
      await within(this.#client.sync(), closePatience);
    }
    this.#client.fail(new SandboxError('SANDBOX_CLOSED', 'Cannot go on: the sandbox was closed'));
    await this.#engine.close();
  }

  async #booted(options: CallOptions, configure: () => Configuration): Promise<void> {
    const begun = Date.now();
    const report = () =>
      options.onProgress?.({ step: 'boot', done: (Date.now() - begun) / 1000, unit: 'seconds' });
    const late = Promise.withResolvers<never>();
    const onAbort = () => late.reject(options.signal?.reason);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const ticking = setInterval(report, 250);
    const timer = setTimeout(() => late.reject(bootError()), bootPatience);
    try {
      report();
      options.signal?.throwIfAborted();
      const ready = this.#client.ready.then(() => this.#client.configure(configure()));
      ready.catch(() => {});
      await Promise.race([ready, late.promise]);
    } catch (error) {
      await this.#engine.close();
      throw error;
    } finally {
      clearInterval(ticking);
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
    }
  }
}

async function orderOf(options: true | NetworkOptions): Promise<NetworkOrder> {
  const { networkOrder } = await import('./network/options.ts');
  return networkOrder(options);
}

function bootError(): SandboxError {
  return new SandboxError('SANDBOX_BOOT', `Cannot boot: no agent after ${bootPatience / 1000} s`, {
    hint: 'The computer may be busy; try again',
  });
}
