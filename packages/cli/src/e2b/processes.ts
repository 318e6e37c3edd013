import type { ExecOptions, Sandbox, SandboxCommand } from '@anole/sandbox';
import { Queue } from '../queue.ts';
import type { Call, Method } from './connect.ts';
import { badRequest, notFound } from './errors.ts';
import { type Json, list, object, optionalText, text, texts } from './http.ts';
import { userOf } from './users.ts';

interface Running {
  readonly config: Json;
  readonly tag: string | undefined;
  readonly command: SandboxCommand;
  readonly input: Queue<Uint8Array>;
  readonly tty: boolean;
  /** Those who get its events. */
  readonly listeners: Set<Queue<Json>>;
}

const signals = { SIGNAL_SIGTERM: 15, SIGNAL_SIGKILL: 9 } as const;
/** Events that may wait for who listens before the command does. */
const maxWaiting = 64;

/** The service `process.Process`: commands that clients start, find again, and steer. */
export class Processes {
  readonly #sandbox: Sandbox;
  readonly #env: Readonly<Record<string, string>>;
  readonly #running = new Map<number, Running>();

  readonly methods: Readonly<Record<string, Method>> = {
    Start: (call) => this.#start(call),
    Connect: (call) => this.#connect(call),
    List: async () => ({ processes: this.#list() }),
    SendInput: async ({ request }) => await this.#sendInput(request),
    CloseStdin: async ({ request }) => {
      this.#find(request).input.end();
      return {};
    },
    SendSignal: async ({ request }) => {
      const number = signals[String(request['signal']) as keyof typeof signals];
      if (number === undefined) throw badRequest('this signal is not served');
      this.#find(request).command.kill(number);
      return {};
    },
    Update: async ({ request }) => {
      const size = sizeOf(object(request['pty']));
      if (size !== undefined) this.#find(request).command.resize(size);
      return {};
    },
  };

  constructor(sandbox: Sandbox, env: Readonly<Record<string, string>>) {
    this.#sandbox = sandbox;
    this.#env = env;
  }

  async *#start({ request, headers, signal }: Call): AsyncGenerator<Json> {
    const config = object(request['process']);
    const pty = request['pty'] === undefined ? undefined : object(request['pty']);
    const input = new Queue<Uint8Array>();
    const user = userOf(headers.authorization);
    const cwd = optionalText(config['cwd']);
    const options: ExecOptions = {
      env: { ...this.#env, ...texts(config['envs']) },
      ...(cwd !== undefined && { cwd }),
      ...(user !== undefined && { user }),
      ...(pty && { tty: sizeOf(pty) ?? true }),
      ...((pty || request['stdin'] !== false) && { stdin: input }),
    };
    const argv = [text(config['cmd'], 'process.cmd'), ...list(config['args'])];
    const command = await this.#sandbox.exec(argv, options);
    const tag = optionalText(request['tag']);
    const running: Running = {
      ...{ config, tag, command, input, tty: pty !== undefined },
      listeners: new Set(),
    };
    this.#running.set(command.pid, running);
    const events = this.#listen(running);
    void this.#follow(running);
    // Who waited as long as was asked for ends the command; who only left does not.
    const onAbort = () => {
      if (signal.reason instanceof Error && 'status' in signal.reason) command.kill('SIGKILL');
    };
    signal.addEventListener('abort', onAbort, { once: true });
    yield* this.#events(running, events, signal);
  }

  async *#connect({ request, signal }: Call): AsyncGenerator<Json> {
    const running = this.#find(request);
    yield* this.#events(running, this.#listen(running), signal);
  }

  #listen({ listeners }: Running): Queue<Json> {
    const events = new Queue<Json>(maxWaiting);
    listeners.add(events);
    return events;
  }

  async *#events(running: Running, events: Queue<Json>, signal: AbortSignal): AsyncGenerator<Json> {
    const leave = () => events.end();
    signal.addEventListener('abort', leave, { once: true });
    try {
      yield { event: { start: { pid: running.command.pid } } };
      for await (const event of events) yield { event };
      if (signal.aborted) throw signal.reason;
    } finally {
      signal.removeEventListener('abort', leave);
      running.listeners.delete(events);
      events.end();
    }
  }

  /** Tells all listeners what the command prints and how it ends. */
  async #follow(running: Running): Promise<void> {
    const { command, tty, listeners } = running;
    const tell = async (event: Json) => {
      await Promise.all([...listeners].map((listener) => listener.push(event)));
    };
    const pass = async (from: AsyncIterable<Uint8Array>, name: string) => {
      for await (const bytes of from) {
        await tell({ data: { [name]: Buffer.from(bytes).toString('base64') } });
      }
    };
    const outputs = Promise.allSettled([
      pass(command.stdout, tty ? 'pty' : 'stdout'),
      pass(command.stderr, 'stderr'),
    ]);
    let end: Json;
    try {
      const { code, signal } = await command.exit;
      const status = signal === undefined ? `exit status ${code}` : `signal: ${signal}`;
      end = { exitCode: code, exited: signal === undefined, status };
      if (code !== 0) end = { ...end, error: status };
    } catch (error) {
      end = { exitCode: -1, exited: false, status: 'gone', error: String(error) };
    }
    // What was left behind may hold the outputs open for good.
    await Promise.race([outputs, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
    await tell({ end });
    for (const listener of listeners) listener.end();
    this.#running.delete(command.pid);
    running.input.end();
  }

  async #sendInput(request: Json): Promise<Json> {
    const { input } = this.#find(request);
    const { stdin, pty } = object(request['input']) as { stdin?: string; pty?: string };
    await input.push(Buffer.from(stdin ?? pty ?? '', 'base64'));
    return {};
  }

  #list(): Json[] {
    return [...this.#running].map(([pid, { config, tag }]) => ({
      config,
      pid,
      ...(tag !== undefined && { tag }),
    }));
  }

  #find(request: Json): Running {
    const { pid, tag } = object(request['process']) as { pid?: number; tag?: string };
    const byTag = [...this.#running.values()].find((each) => tag && each.tag === tag);
    const running = pid === undefined ? byTag : this.#running.get(Number(pid));
    if (running === undefined) throw notFound(`process ${pid ?? tag} not found`);
    return running;
  }
}

function sizeOf(pty: Json): { columns: number; rows: number } | undefined {
  const { cols, rows } = object(pty['size']) as { cols?: number; rows?: number };
  if (cols === undefined || rows === undefined) return undefined;
  return { columns: Number(cols), rows: Number(rows) };
}
