import { chmodSync, rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { AnoleError, type Progress } from '@anole/bytes';
import { acquireLock } from '@anole/host';
import { type ExecOptions, Sandbox, type SandboxCommand } from '@anole/sandbox';
import packageJson from '../../package.json' with { type: 'json' };
import { Queue } from '../queue.ts';
import { commandOf } from '../run/arguments.ts';
import { FrameSocket, jsonOf, kind } from './frames.ts';
import type { Printed } from './log.ts';
import type {
  AttachRequest,
  ExecRequest,
  Reply,
  Request,
  RestoreRequest,
  RunRequest,
  SandboxOrigin,
  ToCommand,
} from './messages.ts';
import type { Place } from './place.ts';
import { type Entry, Registry } from './registry.ts';

export interface DaemonOptions {
  /** Milliseconds without sandboxes and connections after which it ends. */
  readonly idle: number;
  readonly signal: AbortSignal;
}

/**
 * Serves one user's sandboxes on a socket until it is idle or told to end. All that it holds is in its
 * process, so one that is killed leaves nothing but the name of its socket, which the next one removes.
 *
 * @throws HostError `HOST_LOCKED` where there is one
 */
export async function runDaemon(place: Place, { idle, signal }: DaemonOptions): Promise<void> {
  await using _lock = await acquireLock(place.lock, { patience: 0 });
  rmSync(place.socket, { force: true });
  const daemon = new Daemon();
  const server = createServer((socket) => daemon.serve(socket));
  await listen(server, place.socket);
  chmodSync(place.socket, 0o600);
  await daemon.done(idle, signal);
  rmSync(place.socket, { force: true });
  server.close();
  await daemon.close();
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}

class Daemon {
  readonly #registry = new Registry();
  readonly #connections = new Set<Socket>();

  /** Resolves when nobody needs it any more. */
  async done(idle: number, signal: AbortSignal): Promise<void> {
    let since = Date.now();
    while (!signal.aborted && Date.now() - since < idle) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(250, idle));
        signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
      });
      if (this.#connections.size > 0 || this.#registry.live > 0) since = Date.now();
    }
  }

  async close(): Promise<void> {
    await this.#registry.closeAll();
    for (const socket of this.#connections) socket.destroy();
  }

  serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.on('close', () => this.#connections.delete(socket));
    void this.#answer(new FrameSocket(socket));
  }

  async #answer(connection: FrameSocket): Promise<void> {
    const reply = (value: Reply) => connection.sendJson(value);
    const frames = connection.frames();
    try {
      const first = await frames.next();
      if (first.done) return;
      const request = jsonOf(first.value) as Request;
      await reply({ ok: (await this.#obey(request, { connection, frames, reply })) ?? null });
    } catch (error) {
      await reply({ error: describe(error) }).catch(() => {});
    } finally {
      connection.close();
    }
  }

  async #obey(request: Request, call: Call): Promise<unknown> {
    const registry = this.#registry;
    switch (request.verb) {
      case 'ping':
        return { version: packageJson.version, pid: process.pid };
      case 'run':
        return await this.#run(request, call);
      case 'list':
        return registry.list();
      case 'exec':
        return await execute(registry.running(request.name).sandbox, request, call);
      case 'pause':
        return registry.running(request.name).sandbox.pause();
      case 'resume':
        return registry.running(request.name).sandbox.resume();
      case 'kill':
        return await kill(registry.get(request.name));
      case 'stats':
        return await registry.running(request.name).sandbox.stats();
      case 'fork': {
        const { sandbox, image, argv, command } = registry.running(request.name);
        const make = (hostname: string) => sandbox.fork({ hostname });
        const entry = await registry.add(request.newName, { image, argv }, make);
        if (command !== undefined) registry.followCopy(entry, command.id);
        return { id: entry.id, name: entry.name };
      }
      case 'archive':
        return await sendArchive(registry.running(request.name), call);
      case 'snapshot':
        return await this.#snapshot(request);
      case 'restore':
        return await this.#restore(request, call);
      case 'attach':
        return await attach(registry.running(request.name), request, call);
      case 'logs':
        return await sendLog(registry.get(request.name), request.follow, call);
      case 'file-stat':
        return await registry.running(request.name).sandbox.files.stat(request.path);
      case 'file-list':
        return await registry.running(request.name).sandbox.files.list(request.path);
      case 'file-mkdir':
        return await registry.running(request.name).sandbox.files.mkdir(request.path);
      case 'file-read': {
        const { files } = registry.running(request.name).sandbox;
        for await (const bytes of files.stream(request.path)) {
          await call.connection.send(kind.data, bytes);
        }
        return undefined;
      }
      case 'file-write': {
        const { files } = registry.running(request.name).sandbox;
        const { path, mode } = request;
        return await files.write(path, inputOf(call), mode === undefined ? {} : { mode });
      }
      default:
        throw new AnoleError('CLI_DAEMON', `Cannot obey ${JSON.stringify(request)}`);
    }
  }

  async #run(
    { name, image, options, command, entrypoint }: RunRequest,
    call: Call,
  ): Promise<unknown> {
    const argv = command?.argv ?? [];
    const entry = await this.#registry.add(name, { image, argv }, (hostname) =>
      Sandbox.create(image, {
        hostname,
        ...options,
        ...tellingOf(call),
      }),
    );
    if (command !== undefined) {
      try {
        const input = command.stdin ? new Queue<Uint8Array>() : undefined;
        entry.tty = command.tty !== undefined;
        const options = { ...execOptions(command), ...(input && { stdin: input }) };
        const given = { tty: entry.tty, ...(entrypoint !== undefined && { entrypoint }) };
        const whole = commandOf({ image, argv }, entry.sandbox.execution, given);
        this.#registry.follow(entry, await entry.sandbox.exec(whole, options), input);
      } catch (error) {
        await entry.sandbox.close();
        throw error;
      }
    }
    return { id: entry.id, name: entry.name, ports: entry.sandbox.ports };
  }

  async #snapshot({ name, path }: SnapshotRequest): Promise<{ readonly bytes: number }> {
    const { sandbox, command } = this.#registry.running(name);
    const labels = command === undefined ? {} : { [commandLabel]: String(command.id) };
    await sandbox.snapshot(path, { labels });
    return { bytes: (await stat(path)).size };
  }

  async #restore({ name, path, options }: RestoreRequest, call: Call): Promise<unknown> {
    const { image, labels, commands } = await Sandbox.inspect(path);
    const id = Number(labels[commandLabel]);
    const argv = commands.find((command) => command.id === id)?.argv ?? [];
    const entry = await this.#registry.add(name, { image, argv }, (hostname) =>
      Sandbox.restore(path, { hostname, ...options, ...tellingOf(call) }),
    );
    this.#registry.followCopy(entry, id);
    return { id: entry.id, name: entry.name, ports: entry.sandbox.ports };
  }
}

type SnapshotRequest = Extract<Request, { readonly verb: 'snapshot' }>;

/** In files of sandboxes: the command whose end is theirs. */
const commandLabel = 'anole.command';

function tellingOf({ reply }: Call) {
  return {
    onProgress: (progress: Progress) => void reply({ progress }),
    onNote: (note: string) => void reply({ note }),
  };
}

interface Call {
  readonly connection: FrameSocket;
  readonly frames: AsyncGenerator<{ readonly kind: number; readonly payload: Uint8Array }>;
  readonly reply: (value: Reply) => Promise<void>;
}

async function kill(entry: Entry): Promise<void> {
  entry.reason ??= 'killed';
  await entry.sandbox.kill();
}

function execOptions({
  env,
  cwd,
  user,
  timeout,
  maxOutput,
  tty,
}: RunRequest['command'] & object): ExecOptions {
  return {
    env,
    ...(maxOutput !== undefined && { maxOutput }),
    ...(tty !== undefined && { tty }),
    ...(cwd !== undefined && { cwd }),
    ...(user !== undefined && { user }),
    ...(timeout !== undefined && { timeout }),
  };
}

async function execute(sandbox: Sandbox, request: ExecRequest, call: Call): Promise<unknown> {
  const { connection, reply } = call;
  const input = new Queue<Uint8Array>();
  const gone = new AbortController();
  const command = await sandbox.exec(request.argv, {
    ...execOptions(request),
    ...(request.stdin && { stdin: input }),
    signal: gone.signal,
  });
  connection.socket.once('close', () => gone.abort(new Error('who asked is gone')));
  await reply({ started: true });
  void steer(command, input, call).finally(() => input.end());
  const sending = Promise.all([
    pass(command.stdout, (bytes) => connection.send(kind.stdout, bytes)),
    pass(command.stderr, (bytes) => connection.send(kind.stderr, bytes)),
  ]);
  const exit = await command.exit;
  await sending;
  return exit;
}

/** Who leaves this goes; the command does not notice. */
async function attach(
  { name, command, input, tty, log }: Entry,
  { size }: AttachRequest,
  call: Call,
): Promise<unknown> {
  if (command === undefined) {
    throw new AnoleError(
      'CLI_NO_SANDBOX',
      `Cannot attach to ${name}: it has no command of its own`,
      {
        hint: `anole exec ${name} runs one in it`,
      },
    );
  }
  const { connection } = call;
  const coming = log.coming();
  if (size !== undefined) command.resize(size);
  await call.reply({ started: true });
  void steer(command, input, call, tty);
  const left = new Promise<void>((resolve) => connection.socket.once('close', () => resolve()));
  await Promise.race([sendPrinted(coming, call), left]);
  return connection.socket.destroyed ? undefined : await command.exit;
}

/**
 * What comes for a running command: input, signals, sizes.
 *
 * @param lasting whether the end of what one sends is not the end of its input, as with a terminal
 */
async function steer(
  command: SandboxCommand,
  input: Queue<Uint8Array> | undefined,
  { frames }: Call,
  lasting = false,
): Promise<void> {
  try {
    for await (const frame of frames) {
      if (frame.kind === kind.data) await input?.push(frame.payload.slice());
      else if (frame.kind === kind.end) {
        if (!lasting) input?.end();
      } else {
        const message = jsonOf(frame) as Partial<Record<keyof ToCommand, unknown>> & ToCommand;
        if ('signal' in message) command.kill(message.signal);
        else command.resize(message.resize);
      }
    }
  } catch {
    // The connection broke: who listens to its end knows.
  }
}

async function pass(
  from: AsyncIterable<Uint8Array>,
  to: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  for await (const bytes of from) await to(bytes);
}

async function sendArchive(
  { sandbox, image }: Entry,
  { connection }: Call,
): Promise<SandboxOrigin> {
  const { digest } = sandbox.execution;
  for await (const bytes of sandbox.archive(digest === undefined ? 'all' : 'changes')) {
    await connection.send(kind.data, bytes);
  }
  return { image, ...(digest !== undefined && { digest }), env: sandbox.environment };
}

function sendLog({ log }: Entry, follow: boolean, call: Call): Promise<void> {
  return sendPrinted(log.read(follow), call);
}

async function sendPrinted(printed: AsyncIterable<Printed>, { connection }: Call): Promise<void> {
  for await (const { stream, bytes } of printed) {
    if (connection.socket.destroyed) return;
    await connection.send(kind[stream], bytes);
  }
}

async function* inputOf({ frames }: Call): AsyncGenerator<Uint8Array> {
  // Not `for await`, whose end would be the connection's.
  for (let step = await frames.next(); !step.done; step = await frames.next()) {
    if (step.value.kind === kind.end) return;
    yield step.value.payload;
  }
  throw new AnoleError('CLI_DAEMON', 'Cannot write the file: who sent it is gone');
}

function describe(error: unknown): { code: string; message: string; hint?: string } {
  const known = AnoleError.is(error) ? error : undefined;
  return {
    code: known?.code ?? 'CLI_DAEMON',
    message: error instanceof Error ? error.message : String(error),
    ...(known?.hint !== undefined && { hint: known.hint }),
  };
}
