import type { Port } from './port.ts';
import { busybox, type Descriptors, examine, openTerminal, start } from './process.ts';
import { InputStream, OutputStream } from './streams.ts';
import { openFlags, readText } from './system.ts';
import { type ExitReport, type Refusal, type SpawnRequest, toHost } from './wire.ts';

const hangUp = 1;
const kill = 9;

/** One command: its process, its streams, its end. */
export class Command {
  readonly id: number;
  readonly pid: number;
  readonly #port: Port;
  readonly #terminal: string | undefined;
  #exited = false;
  #stdin: InputStream | undefined;
  #outputs: OutputStream[] = [];

  private constructor(port: Port, id: number, request: SpawnRequest) {
    this.#port = port;
    this.id = id;
    this.#terminal = request.terminal;
    const checked = examine(request);
    if ('reason' in checked) throw checked;
    const parent: number[] = [];
    const child = this.#open(request, parent, (fd) => openTerminal(fd, checked.identity));
    this.pid = start(request, checked.identity, checked.env, child);
    for (const fd of new Set([child.stdin, child.stdout, child.stderr])) os.close(fd);
    if (request.stdin && parent[0] !== undefined)
      this.#stdin = new InputStream(port, id, parent[0]);
    if (parent[1] !== undefined) this.#outputs.push(new OutputStream(port, id, 1, parent[1]));
    if (parent[2] !== undefined) this.#outputs.push(new OutputStream(port, id, 2, parent[2]));
  }

  /** Starts a command, or tells the host why not. */
  static start(port: Port, id: number, request: SpawnRequest): Command | undefined {
    try {
      const command = new Command(port, id, request);
      port.sendJson(toHost.started, id, { pid: command.pid });
      return command;
    } catch (error) {
      const refusal: Refusal = isRefusal(error)
        ? error
        : { reason: 'resources', code: 126, message: String(error) };
      port.sendJson(toHost.refused, id, refusal);
      return undefined;
    }
  }

  input(buffer: ArrayBuffer, offset: number, length: number): void {
    this.#stdin?.write(buffer, offset, length);
  }

  inputEnd(): void {
    this.#stdin?.end();
  }

  grant(stream: number, bytes: number): void {
    this.#outputs[stream - 1]?.grant(bytes);
  }

  /** To all processes of the command's group; to the first one while it has no group yet. */
  signal(signal: number): void {
    if (this.finished) return;
    if (os.kill(-this.pid, signal) < 0 && !this.#exited) os.kill(this.pid, signal);
  }

  resize(columns: number, rows: number): void {
    if (this.#terminal === undefined) return;
    busybox(['stty', '-F', `/dev/${this.#terminal}`, 'cols', `${columns}`, 'rows', `${rows}`]);
  }

  /** Streams listen again, or pause, as the port drains or blocks. */
  update(): void {
    for (const output of this.#outputs) output.update();
  }

  /** The process is gone: sends what it left in its pipes, then how it ended. */
  end(status: number): void {
    this.#stdin?.close();
    this.#exited = true;
    let waiting = this.#outputs.length;
    const report = () => this.#port.sendJson(toHost.exit, this.id, this.#report(status));
    if (waiting === 0) {
      report();
      return;
    }
    const done = () => {
      if (--waiting === 0) report();
    };
    for (const output of this.#outputs) output.drain(done);
  }

  /**
   * Begins anew with another host: each stream has a whole window again. One whose terminal is gone is
   * hung up, and what an ended command left behind is let write to nobody.
   *
   * @returns the streams that are open; undefined where the host has nothing to do with it
   */
  restart(): number[] | undefined {
    if (this.#terminal !== undefined) {
      this.signal(hangUp);
      os.setTimeout(() => this.signal(kill), 1000);
      return undefined;
    }
    if (this.#exited) {
      for (const output of this.#outputs) output.discard();
      return undefined;
    }
    const outputs = this.#outputs.filter((output) => output.restart());
    const streams = outputs.map((output) => output.number);
    return this.#stdin?.restart() ? [0, ...streams] : streams;
  }

  /** Nothing will be said of it any more. */
  get finished(): boolean {
    return this.#exited && this.#outputs.every((output) => output.ended);
  }

  #report(status: number): ExitReport {
    const signal = status & 0x7f;
    if (signal === 0) return { code: (status >> 8) & 0xff };
    return signal === 9 && ranOutOfMemory() ? { signal, outOfMemory: true } : { signal };
  }

  #open(request: SpawnRequest, parent: number[], open: (name: string) => number): Descriptors {
    if (request.terminal !== undefined) {
      const fd = open(request.terminal);
      if (fd < 0) throw new Error(`cannot open /dev/${request.terminal}: errno ${-fd}`);
      return { stdin: fd, stdout: fd, stderr: fd };
    }
    const ends = [0, 1, 2].map((stream) => {
      if (stream === 0 && !request.stdin) return os.open('/dev/null', openFlags.readOnly);
      const pipe = os.pipe();
      if (pipe === null) throw new Error('no pipe could be opened');
      parent[stream] = stream === 0 ? pipe[1] : pipe[0];
      return stream === 0 ? pipe[0] : pipe[1];
    });
    return { stdin: ends[0]!, stdout: ends[1]!, stderr: ends[2]! };
  }
}

function isRefusal(error: unknown): error is Refusal {
  return typeof error === 'object' && error !== null && 'reason' in error;
}

let killsSeen = 0;

/** Whether the kernel killed a process for want of memory since the last look (/proc/vmstat). */
function ranOutOfMemory(): boolean {
  const before = killsSeen;
  killsSeen = Number(/^oom_kill (\d+)$/m.exec(readText('/proc/vmstat'))?.[1] ?? 0);
  return killsSeen > before;
}
