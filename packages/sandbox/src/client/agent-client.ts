import {
  asciiBytes,
  asciiJson,
  type Configuration,
  type ConfigurationFailure,
  type DropRequest,
  type ForkedCommand,
  type GuestStatistics,
  type LimitReport,
  maxPayload,
  protocolVersion,
  type SpawnRequest,
  toGuest,
  toHost,
} from '../agent/wire.ts';
import type { Channel } from '../engine/engine.ts';
import { SandboxError } from '../errors.ts';
import { configurePayload, forkedCommands, setMoment } from './configure-payload.ts';
import { type Frame, FrameReader, parseReport, saying, versionOf, writeFrame } from './frames.ts';
import { GuestCommand } from './guest-command.ts';
import { spawnPayload } from './spawn-payload.ts';

/** A limit is told of once in so long. The agent keeps to it; who took its place need not. */
const limitPeriod = 900; // ms
/** Of all commands of a copy together: each had a window. */
const maxEarly = 64 << 20;
/** What a frame takes here beside its payload, or more. */
const frameCost = 512;

/** The host's end of the agent protocol: many commands over one channel. */
export class AgentClient {
  readonly #channel: Channel;
  readonly #reader = new FrameReader();
  readonly #commands = new Map<number, GuestCommand>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #answers = new Map<number, PromiseWithResolvers<void>>();
  readonly #configured = Promise.withResolvers<void>();
  readonly #statistics = new Map<number, PromiseWithResolvers<GuestStatistics>>();
  /** Told of limits that the guest met. */
  onLimit: (limit: LimitReport['limit']) => void = () => {};
  /** When each limit was told of last. */
  readonly #told = new Map<LimitReport['limit'], number>();
  /** In a copy, until it says which commands run: what they print, by their numbers. */
  #early: Map<number, Frame[]> | undefined;
  #earlyBytes = 0;
  #next: number;
  #failure: unknown;

  /** @param next number of the next command: for a copy, which has some already */
  constructor(channel: Channel, next?: number) {
    this.#channel = channel;
    this.#next = next ?? 1;
    if (next !== undefined) this.#early = new Map();
    this.#ready.promise.catch(() => {});
    this.#configured.promise.catch(() => {});
    channel.receive((bytes) => this.#receive(bytes));
  }

  /** Resolves when the agent in the guest serves. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Number of the next command: none is used twice, in a guest and its copies. */
  get next(): number {
    return this.#next;
  }

  /** A command by its number, until it ended. */
  command(id: number): GuestCommand | undefined {
    return this.#commands.get(id);
  }

  /** Makes the guest a sandbox's own, once it is ready, where its engine does not. */
  configure(configuration: Configuration): Promise<void> {
    const payload = configurePayload(configuration);
    setMoment(payload, Date.now());
    this.#send(toGuest.configure, 0, payload);
    return this.#configured.promise;
  }

  /** Resolves when the guest is a sandbox's own. @throws SandboxError `SANDBOX_BOOT` where it cannot be */
  get configured(): Promise<void> {
    return this.#configured.promise;
  }

  /** Starts a command; see `started` of the result. */
  spawn(request: SpawnRequest): GuestCommand {
    const payload = spawnPayload(request);
    if (payload.length > maxPayload) {
      throw new SandboxError(
        'SANDBOX_BAD_OPTION',
        `Cannot run the command: arguments and environment take ${payload.length} bytes`,
        { hint: `Pass at most ${maxPayload} bytes; use standard input for more` },
      );
    }
    if (this.#failure !== undefined) throw this.#failure;
    const command = new GuestCommand(this.#next++, this.#send, request.terminal === undefined);
    this.#commands.set(command.id, command);
    this.#send(toGuest.spawn, command.id, payload);
    return command;
  }

  /** Resolves when the guest has written what it kept in memory: to its volumes, and to the host. */
  sync(): Promise<void> {
    return this.#ask(toGuest.sync, new Uint8Array(0));
  }

  /** Has the guest's kernel drop what it holds of names that were changed here. See `sync`. */
  drop(requests: readonly DropRequest[]): Promise<void> {
    return this.#ask(toGuest.drop, asciiBytes(asciiJson(requests)));
  }

  /** What the guest says of itself. See `sync`. */
  statistics(): Promise<GuestStatistics> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#next++;
    const waiting = Promise.withResolvers<GuestStatistics>();
    this.#statistics.set(id, waiting);
    this.#send(toGuest.statistics, id, new Uint8Array(0));
    return waiting.promise;
  }

  /** Sends a request that has an empty answer. */
  #ask(type: number, payload: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#next++;
    const waiting = Promise.withResolvers<void>();
    this.#answers.set(id, waiting);
    this.#send(type, id, payload);
    return waiting.promise;
  }

  /** Ends everything that waits for the guest. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#ready.reject(error);
    this.#configured.reject(error);
    for (const command of this.#commands.values()) command.fail(error);
    for (const waiting of this.#answers.values()) waiting.reject(error);
    for (const waiting of this.#statistics.values()) waiting.reject(error);
    this.#statistics.clear();
    this.#commands.clear();
    this.#answers.clear();
  }

  readonly #send = (type: number, command: number, payload: Uint8Array): void => {
    if (this.#failure === undefined) this.#channel.send(writeFrame(type, command, payload));
  };

  #receive(bytes: Uint8Array): void {
    if (this.#failure !== undefined) return;
    try {
      for (const frame of this.#reader.read(bytes)) this.#accept(frame);
    } catch (error) {
      this.fail(error);
    }
  }

  #accept(frame: Frame): void {
    if (frame.type === toHost.hello) {
      this.#greet(frame);
      return;
    }
    if (frame.type === toHost.synced || frame.type === toHost.dropped) {
      this.#answers.get(frame.command)?.resolve();
      this.#answers.delete(frame.command);
      return;
    }
    if (frame.type === toHost.limit) {
      this.#tellLimit(parseReport<LimitReport>(frame).limit);
      return;
    }
    if (frame.type === toHost.statistics) {
      this.#statistics.get(frame.command)?.resolve(statisticsOf(frame));
      this.#statistics.delete(frame.command);
      return;
    }
    if (frame.type === toHost.configured) {
      for (const each of forkedCommands(frame)) this.#adopt(each);
      this.#early = undefined;
      this.#configured.resolve();
      return;
    }
    if (frame.type === toHost.notConfigured) {
      const { error } = parseReport<ConfigurationFailure>(frame);
      this.#configured.reject(configurationError(saying(error)));
      return;
    }
    const command = this.#commands.get(frame.command);
    if (command === undefined) {
      this.#keepEarly(frame);
      return;
    }
    command.accept(frame);
    if (command.finished) this.#commands.delete(frame.command);
  }

  /** Keeps output of a command that is not known yet: the agent went on before it knew who listens. */
  #keepEarly(frame: Frame): void {
    const isOutput = frame.type === toHost.stdout || frame.type === toHost.stderr;
    if (this.#early === undefined || !isOutput || frame.payload.length === 0) return;
    this.#earlyBytes += frame.payload.length + frameCost;
    if (this.#earlyBytes > maxEarly) {
      throw new SandboxError('SANDBOX_AGENT', 'Cannot keep so much output of unknown commands');
    }
    const kept = { ...frame, payload: frame.payload.slice() };
    const others = this.#early.get(frame.command);
    if (others === undefined) this.#early.set(frame.command, [kept]);
    else others.push(kept);
  }

  /** Tells of a limit at most once a second, however often the guest says so. */
  #tellLimit(limit: LimitReport['limit'] | undefined): void {
    if (limit !== 'memory' && limit !== 'processes') return;
    const now = performance.now();
    if (now - (this.#told.get(limit) ?? Number.NEGATIVE_INFINITY) < limitPeriod) return;
    this.#told.set(limit, now);
    this.onLimit(limit);
  }

  /** A command that runs in a copy. */
  #adopt({ id, streams }: ForkedCommand): void {
    if (id < 1 || id >= this.#next || this.#commands.has(id)) throw badCommand(id);
    this.#commands.set(id, GuestCommand.running(id, this.#send, streams, this.#early?.get(id)));
  }

  #greet(frame: Frame): void {
    const version = versionOf(frame);
    if (version !== protocolVersion) {
      throw new SandboxError(
        'SANDBOX_AGENT',
        `Cannot talk to an agent of version ${version}, only of ${protocolVersion}`,
      );
    }
    this.#ready.resolve();
  }
}

function statisticsOf(frame: Frame): GuestStatistics {
  const { processes, memory } = parseReport<GuestStatistics>(frame);
  const count = (value: unknown) => (Number.isSafeInteger(value) ? Number(value) : 0);
  return {
    processes: count(processes),
    memory: { total: count(memory?.total), available: count(memory?.available) },
  };
}

function badCommand(id: unknown): SandboxError {
  return new SandboxError('SANDBOX_AGENT', `Cannot take over a command with the number ${id}`);
}

function configurationError(message: string): SandboxError {
  return new SandboxError('SANDBOX_BOOT', `Cannot prepare the guest: ${message}`);
}
