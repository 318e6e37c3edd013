import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { AnoleError, type Progress } from '@anole/bytes';
import { acquireLock } from '@anole/host';
import { type ExecOptions, Sandbox, type SandboxCommand } from '@anole/sandbox';
import packageJson from '../../package.json' with { type: 'json' };
import { Queue } from '../queue.ts';
import { FrameSocket, jsonOf, kind } from './frames.ts';
import type {
  ExecRequest,
  Reply,
  Request,
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
        const { sandbox, image, argv } = registry.running(request.name);
        const make = (hostname: string) => sandbox.fork({ hostname });
        const { id, name } = await registry.add(request.newName, { image, argv }, make);
        return { id, name };
      }
      case 'archive':
        return await sendArchive(registry.running(request.name), call);
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

  async #run({ name, image, options, command }: RunRequest, call: Call): Promise<unknown> {
    const argv = command?.argv ?? [];
    const entry = await this.#registry.add(name, { image, argv }, (hostname) =>
      Sandbox.create(image, {
        hostname,
        ...options,
        onProgress: (progress: Progress) => void call.reply({ progress }),
        onNote: (note) => void call.reply({ note }),
      }),
    );
    if (command !== undefined) {
      try {
        this.#registry.follow(entry, await entry.sandbox.exec(argv, execOptions(command)));
      } catch (error) {
        await entry.sandbox.close();
        throw error;
      }
    }
    return { id: entry.id, name: entry.name, ports: entry.sandbox.ports };
  }
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

function execOptions({ env, cwd, user, timeout }: RunRequest['command'] & object): ExecOptions {
  return {
    env,
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
    ...(request.tty && { tty: request.tty }),
    ...(request.stdin && { stdin: input }),
    signal: gone.signal,
  });
  connection.socket.once('close', () => gone.abort(new Error('who asked is gone')));
  await reply({ started: true });
  void steer(command, input, call);
  const sending = Promise.all([
    pass(command.stdout, (bytes) => connection.send(kind.stdout, bytes)),
    pass(command.stderr, (bytes) => connection.send(kind.stderr, bytes)),
  ]);
  const exit = await command.exit;
  await sending;
  return exit;
}

/** What comes for a running command: input, signals, sizes. */
async function steer(
  command: SandboxCommand,
  input: Queue<Uint8Array>,
  { frames }: Call,
): Promise<void> {
  try {
    for await (const frame of frames) {
      if (frame.kind === kind.data) await input.push(frame.payload.slice());
      else if (frame.kind === kind.end) input.end();
      else {
        const message = jsonOf(frame) as Partial<Record<keyof ToCommand, unknown>> & ToCommand;
        if ('signal' in message) command.kill(message.signal);
        else command.resize(message.resize);
      }
    }
  } catch {
    // The connection broke: its end kills the command.
  } finally {
    input.end();
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

async function sendLog({ log }: Entry, follow: boolean, { connection }: Call): Promise<void> {
  for await (const { stream, bytes } of log.read(follow)) {
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
