import { withIdentity } from './launch-request.ts';
import { prepareAfterEnd, takeLauncher } from './launcher.ts';
import { lookForKills, lookForRefusals, metSince, metSoFar } from './limits.ts';
import type { Outlet } from './port.ts';
import { busybox, examine } from './process.ts';
import { SpawnOrder } from './spawn-order.ts';
import type { InputStream, OutputStream } from './streams.ts';
import { type ExitReport, exitWord, type Refusal, spawnField, toHost } from './wire.ts';

const hangUp = 1;
const kill = 9;

/** One command: its process, its streams, its end. */
export class Command {
  readonly id: number;
  readonly pid: number;
  readonly #port: Outlet;
  /** Path of its device. */
  readonly #terminal: string | undefined;
  /** Limits that were met before it. */
  readonly #met = metSoFar();
  #exited = false;
  #stdin: InputStream | undefined;
  #outputs: readonly OutputStream[] = [];

  private constructor(port: Outlet, id: number, payload: Uint8Array) {
    this.#port = port;
    this.id = id;
    const order = new SpawnOrder(payload);
    if (order.has(spawnField.terminal)) this.#terminal = order.text(spawnField.terminal);
    const checked = examine(order);
    if ('reason' in checked) throw checked;
    const launcher = takeLauncher();
    this.pid = launcher.pid;
    const begun = order.memory(checked.candidate);
    const { identity } = checked;
    const memory = identity === undefined ? begun : withIdentity(begun, identity);
    const { input, outputs } = launcher;
    input.begin(port, id, memory.length);
    input.write(memory.buffer as ArrayBuffer, memory.byteOffset, memory.length);
    if (order.stdin && this.#terminal === undefined) this.#stdin = input;
    else input.end();
    if (this.#terminal === undefined) this.#outputs = outputs;
    for (const output of outputs) {
      if (this.#terminal === undefined) output.begin(port, id);
      else output.close();
    }
  }

  /**
   * Starts a command, or tells the host why not.
   *
   * @param payload of the frame `spawn`
   */
  static start(port: Outlet, id: number, payload: Uint8Array): Command | undefined {
    try {
      const command = new Command(port, id, payload);
      port.sendWord(toHost.started, id, command.pid);
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
    busybox(['stty', '-F', this.#terminal, 'cols', `${columns}`, 'rows', `${rows}`]);
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
    const report = () => {
      this.#port.sendWord(toHost.exit, this.id, exitWord(this.#report(status)));
      prepareAfterEnd();
    };
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
   * @returns a bit for each stream that is open; undefined where the host has nothing to do with it
   */
  restart(): number | undefined {
    if (this.#terminal !== undefined) {
      this.signal(hangUp);
      os.setTimeout(() => this.signal(kill), 1000);
      return undefined;
    }
    if (this.#exited) {
      for (const output of this.#outputs) output.discard();
      return undefined;
    }
    let streams = this.#stdin?.restart() ? 1 : 0;
    for (const output of this.#outputs) if (output.restart()) streams |= 1 << output.number;
    return streams;
  }

  /** Nothing will be said of it any more. */
  get finished(): boolean {
    return this.#exited && this.#outputs.every((output) => output.ended);
  }

  #report(status: number): ExitReport {
    if (status === 0) return { code: 0 };
    const signal = status & 0x7f;
    const code = (status >> 8) & 0xff;
    // A shell tells of a child's signal so.
    if (signal !== 0 || code > 128) lookForKills();
    lookForRefusals();
    const { memory, processes } = metSince(this.#met);
    if (signal === 0) return processes ? { code, outOfProcesses: true } : { code };
    return signal === 9 && memory ? { signal, outOfMemory: true } : { signal };
  }
}

function isRefusal(error: unknown): error is Refusal {
  return typeof error === 'object' && error !== null && 'reason' in error;
}
