import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { AnoleError, type CallOptions } from '@anole/bytes';
import { awaitAgent } from './boot.ts';
import { checkArguments, checkRange, checkShare, forkName } from './checks.ts';
import { AgentClient } from './client/agent-client.ts';
import type { ExecOptions, SandboxCommand } from './command.ts';
import { Commands } from './commands.ts';
import { configurationOf, configurationOfCopy } from './configuration.ts';
import type { ImageExecution } from './container-image.ts';
import { endError } from './end.ts';
import type { Engine } from './engine/engine.ts';
import { MachineEngine } from './engine/machine-engine.ts';
import { SandboxError } from './errors.ts';
import { SandboxFiles } from './files/files.ts';
import {
  Lifetime,
  lifetimeError,
  type SandboxEvents,
  type SandboxState,
  type SandboxStats,
  statsOf,
  within,
} from './lifecycle.ts';
import type { PublishedPort } from './network/options.ts';
import type {
  AttachOptions,
  ForkOptions,
  RestoreOptions,
  SandboxOptions,
  SnapshotOptions,
} from './options.ts';
import { onEventOf, orderFor, type Traits } from './order.ts';
import type { Description, RunningCommand } from './saved/description.ts';

type Events = { -readonly [K in keyof SandboxEvents]: SandboxEvents[K] };

/** How long a guest may take to say how it is. */
const statsPatience = 2000; // ms
/** How long a guest that is closed may take to write what it has to volumes. */
const closePatience = 30_000; // ms

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
  readonly #traits: Traits;
  /** Its files: its image with what was written over it, and its volumes. */
  readonly files: SandboxFiles;
  readonly #begun = Date.now();
  readonly #commands: Commands;
  #state: SandboxState = 'running';
  readonly #lifetime = new Lifetime((lifetime) => this.#timeOut(lifetime));
  #cpuShare: number | undefined;
  #forks = 0;
  #closing: Promise<void> | undefined;

  /**
   * @param next number of its next command
   * @param commands that ran in the one that it is a copy of
   */
  private constructor(
    engine: Engine,
    traits: Traits,
    next?: number,
    commands: readonly RunningCommand[] = [],
  ) {
    super();
    this.#engine = engine;
    this.#traits = traits;
    this.#cpuShare = engine.cpuShare;
    this.#client = new AgentClient(engine.agent, next);
    this.#commands = new Commands(this.#client, engine, traits, commands, (limit) =>
      this.emit('limit', limit),
    );
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
    const { order, traits } = await orderFor(image, options);
    const start = async () => {
      const configuration = configurationOf(traits, order.volumes);
      const engine = new MachineEngine({ ...order, configuration }, onEventOf(options));
      const sandbox = new Sandbox(engine, traits);
      await sandbox.#booted(options);
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
    return await this.#commands.start(argv, options);
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
    const engine = await this.#engine.fork(configurationOfCopy(hostname));
    const copy = new Sandbox(
      engine,
      { ...this.#traits, hostname },
      this.#client.next,
      this.commands,
    );
    await copy.#booted(options);
    return copy;
  }

  /**
   * Saves the sandbox as it is now in a file, from which it can be restored any number of times, later
   * and on other computers: memory, processes, and what was written over its image. It goes on
   * meanwhile. Not in the file are its image and its volumes. The file holds all that the guest held in
   * memory, secrets too: it is readable by its owner alone.
   *
   * @param path the file appears there whole, in the place of one that was there, or not at all
   * @throws SandboxError `SANDBOX_CLOSED`; HostError `HOST_NO_SPACE` …
   */
  async snapshot(path: string, { signal, labels = {} }: SnapshotOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    const { writesVolumes: _, ...traits } = this.#traits;
    const about = () => ({
      ...traits,
      saved: Date.now(),
      ...(this.#cpuShare !== undefined && { cpuShare: this.#cpuShare }),
      ...(this.#lifetime.given !== undefined && { lifetime: this.#lifetime.given }),
      next: this.#client.next,
      commands: this.commands,
      labels,
    });
    await this.#engine.save(path, about, signal && { signal });
  }

  /**
   * Makes a sandbox that goes on where {@link snapshot} left one. Its random numbers, clock, hostname
   * and machine id are its own, as those of a {@link fork}; connections of the guest's have ended.
   * Memory and files are read as they are touched: the file must stay as it is meanwhile, though its
   * name may go. A lifetime counts anew.
   *
   * The file decides what is in the guest, and nothing of what the guest may reach: volumes and network
   * are given here, or by `trust`. Commands that ran go on, see {@link commands} and {@link attach}.
   *
   * @throws SandboxError `SANDBOX_FILE_FOREIGN` where it is no such file or the image is another one,
   * `SANDBOX_FILE_VERSION`, `SANDBOX_FILE_DAMAGED`, `SANDBOX_BAD_VOLUME` where a volume is not given;
   * MachineError `MACHINE_SNAPSHOT_VERSION`, `MACHINE_SNAPSHOT_DAMAGED`, `MACHINE_SNAPSHOT_FOREIGN` for
   * the machine in it; HostError `HOST_NOT_FOUND` …
   */
  static async restore(path: string, options: RestoreOptions = {}): Promise<Sandbox> {
    options.signal?.throwIfAborted();
    const { restoring } = await import('./saved/restore.ts');
    using restore = await restoring(path, options);
    const { order, traits, next, commands, lifetime } = restore;
    const configuration = configurationOfCopy(traits.hostname);
    const engine = new MachineEngine({ ...order, configuration }, onEventOf(options));
    const sandbox = new Sandbox(engine, traits, next, commands);
    await sandbox.#booted(options);
    sandbox.setLifetime(lifetime);
    return sandbox;
  }

  /**
   * Says what is in a file that {@link snapshot} wrote, without restoring it.
   *
   * @throws SandboxError `SANDBOX_FILE_FOREIGN`, `SANDBOX_FILE_VERSION`, `SANDBOX_FILE_DAMAGED`
   */
  static async inspect(path: string): Promise<Description> {
    const { SavedFile } = await import('./saved/read.ts');
    using file = new SavedFile(path);
    return file.description();
  }

  /** Commands that run; of a copy those that were not attached yet, too: for {@link attach}. */
  get commands(): readonly RunningCommand[] {
    return this.#commands.running;
  }

  /**
   * In a fork, or a restored sandbox: the copy of a command that ran in the one it was made of. Its
   * streams begin with what the agent had not taken yet then. Until it is attached, a command that
   * writes much waits, as any whose output nobody reads.
   *
   * @param command one of the other sandbox, or of {@link commands}
   * @throws SandboxError `SANDBOX_NOT_FOUND` where it had ended, or has
   */
  attach(command: Pick<SandboxCommand, 'id'>, options: AttachOptions = {}): SandboxCommand {
    return this.#commands.attach(command.id, options);
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

  /** The guest's name for itself. */
  get hostname(): string {
    return this.#traits.hostname;
  }

  /** How the maker of a container image wants commands to run: `exec` takes directory and user of it. */
  get execution(): ImageExecution {
    return this.#traits.execution;
  }

  /** Variables the image gives every command. */
  get environment(): Readonly<Record<string, string>> {
    return this.#traits.environment;
  }

  get state(): SandboxState {
    return this.#state;
  }

  /** What it took so far. */
  async stats(): Promise<SandboxStats> {
    const engine = await this.#engine.statistics();
    const asked = this.#state === 'running' ? this.#client.statistics() : undefined;
    const guest = asked && (await within(asked, statsPatience));
    return statsOf(this.#state, Date.now() - this.#begun, engine, guest);
  }

  /** Has the sandbox end so many milliseconds from now. Undefined: only when it is closed. */
  setLifetime(lifetime: number | undefined): void {
    this.#lifetime.set(this.#state === 'ended' ? undefined : lifetime);
  }

  /** Bounds its time of a processor from now on; see `cpuShare` of the options. */
  setCpuShare(share: number | undefined): void {
    this.#cpuShare = share === undefined ? undefined : checkShare(share);
    this.#engine.share(this.#cpuShare);
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

  #checkRunning(): void {
    if (this.#state !== 'paused') return;
    throw new SandboxError('SANDBOX_PAUSED', 'Cannot do that: the sandbox is paused', {
      hint: 'Resume it first',
    });
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
    this.#lifetime.stop();
    this.emit('ended', end);
  }

  async #close(): Promise<void> {
    if (this.#traits.writesVolumes) {
      this.resume();
      await within(this.#client.sync(), closePatience);
    }
    this.#client.fail(new SandboxError('SANDBOX_CLOSED', 'Cannot go on: the sandbox was closed'));
    await this.#engine.close();
  }

  async #booted(options: CallOptions): Promise<void> {
    try {
      await awaitAgent(this.#client, options);
    } catch (error) {
      await this.#engine.close();
      throw error;
    }
  }
}
