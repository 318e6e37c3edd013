import { type CallOptions, httpSource, memorySource, type Source } from '@anole/bytes';
import { openErofs } from '@anole/erofs/reader';
import { FuseServer } from '@anole/fuse';
import { Machine, openSnapshot, VirtioConsole, VirtioFs } from '@anole/machine';
import { memoryOverlay } from '@anole/vfs';
import { agentPortName } from '../agent/wire.ts';
import { AgentClient } from '../client/agent-client.ts';
import type { Channel, TerminalSize } from '../engine/engine.ts';
import { OutputGate } from '../engine/output-gate.ts';
import { terminalSlots } from '../engine/shape.ts';
import { readTemplateState } from '../engine/template-state.ts';
import { SandboxError } from '../errors.ts';
import { rootTag } from '../guest/boot.ts';
import { hasPlainMountPoints, prepareRoot } from '../guest/root.ts';
import { fetchWhole } from './fetch-whole.ts';

export interface BrowserSandboxOptions extends CallOptions {
  /** URL of an EROFS image for riscv64, on a server that gives parts of files. */
  readonly image: string;
  /** URL of a template: a machine that was saved when its agent served, with two terminals. */
  readonly template: string;
  /** Default `anole`. */
  readonly hostname?: string;
  /** Bytes that the guest may write over its image. Default 1 GiB. */
  readonly maxWritten?: number;
}

export interface BrowserStatistics {
  /** Size of the image, and what of it was read, in bytes. */
  readonly image: number;
  readonly read: number;
  /** Instructions of the guest. */
  readonly instructions: number;
}

/** A command with a terminal. */
export interface BrowserShell {
  /** Resolves when the guest has taken what was typed. */
  write(bytes: Uint8Array): Promise<void>;
  resize(size: TerminalSize): void;
  /** Says that so many bytes of output were shown: beyond a bound the guest waits. */
  consumed(bytes: number): void;
  /** The exit code, 128 + n for signal n. */
  readonly ended: Promise<number>;
}

/** Ports of the console device before the terminals: the kernel's console, the agent. */
const firstTerminal = 2;
const agentPort = 1;

/** A virtual machine of an image at a URL, in this page or worker. */
export class BrowserSandbox {
  readonly #machine: Machine;
  readonly #console: VirtioConsole;
  readonly #client: AgentClient;
  readonly #terminals: readonly Terminal[];
  readonly #image: CountedSource;

  private constructor(
    machine: Machine,
    console: VirtioConsole,
    client: AgentClient,
    terminals: readonly Terminal[],
    image: CountedSource,
  ) {
    this.#machine = machine;
    this.#console = console;
    this.#client = client;
    this.#terminals = terminals;
    this.#image = image;
  }

  /**
   * Resolves when the sandbox takes commands.
   *
   * @throws SandboxError `SANDBOX_BOOT`; HttpError, ErofsError, MachineError for what is at the URLs
   */
  static async start(options: BrowserSandboxOptions): Promise<BrowserSandbox> {
    const { signal } = options;
    const [bytes, remote] = await Promise.all([
      fetchWhole(options.template, options),
      httpSource(options.image, signal ? { signal } : {}),
    ]);
    const image = new CountedSource(remote);
    const tree = memoryOverlay(await openErofs(image), {
      maxBytes: options.maxWritten ?? 2 ** 30,
    });
    await prepareRoot(tree);
    if (!(await hasPlainMountPoints(tree))) {
      throw new SandboxError('SANDBOX_BOOT', `Cannot start ${options.image} from a template`, {
        hint: 'Its places of mounts (/proc, /run, …) must be plain directories',
      });
    }
    const snapshot = openSnapshot(memorySource(bytes));
    const { hello, root } = readTemplateState(snapshot.host);
    const server = new FuseServer(tree, { unsettled: true });
    await server.restoreState(root);
    server.settle();
    const terminals = Array.from({ length: terminalSlots(1) }, () => new Terminal());
    let receive: (bytes: Uint8Array) => void = () => {};
    const console = consoleDevice(terminals, (bytes) => receive(bytes));
    const rootDevice = new VirtioFs({ tag: rootTag, handle: (request) => server.handle(request) });
    const machine = await Machine.restore({
      snapshot,
      isCopy: false,
      devices: [console, rootDevice],
    });
    const channel: Channel = {
      send: (bytes) => void console.ports[agentPort]!.write(bytes),
      receive(handler) {
        receive = handler;
      },
    };
    const client = new AgentClient(channel);
    receive(hello);
    await client.ready; // An agent of another version does not run.
    const sandbox = new BrowserSandbox(machine, console, client, terminals, image);
    void machine.run().then(
      (end) => client.fail(new SandboxError('SANDBOX_CLOSED', `The machine ended: ${end.reason}`)),
      (error) => client.fail(error),
    );
    await client.configure(configuration(options.hostname ?? 'anole'));
    return sandbox;
  }

  /**
   * Starts a command in a terminal of its own.
   *
   * @param onOutput gets what the terminal shows; the bytes are its own
   * @throws SandboxError `SANDBOX_RESOURCES` where all terminals are in use, `SANDBOX_NOT_FOUND` …
   */
  async shell(
    argv: readonly string[],
    size: TerminalSize,
    onOutput: (bytes: Uint8Array) => void,
  ): Promise<BrowserShell> {
    const index = this.#terminals.findIndex(({ taken }) => !taken);
    const terminal = this.#terminals[index];
    const port = this.#console.ports[firstTerminal + index];
    if (terminal === undefined || port === undefined) {
      throw new SandboxError('SANDBOX_RESOURCES', 'Cannot open a terminal: all are in use');
    }
    terminal.taken = true;
    terminal.onData = onOutput;
    port.resize(size);
    const command = this.#client.spawn({
      argv,
      env: { TERM: 'xterm-256color', HOME: '/root', PATH: searchPath },
      cwd: '/root',
      stdin: false,
      terminal: `hvc${index + 1}`,
    });
    await command.started;
    return {
      write: async (bytes) => {
        await port.write(bytes);
      },
      resize: (next) => port.resize(next),
      consumed: (bytes) => terminal.gate.consumed(bytes),
      ended: command.exit.then(({ code, signal = 0 }) => {
        terminal.taken = false;
        return code ?? 128 + signal;
      }),
    };
  }

  get statistics(): BrowserStatistics {
    const { instructions } = this.#machine.statistics;
    return { image: this.#image.size, read: this.#image.bytesRead, instructions };
  }

  /** Stops the machine. */
  async close(): Promise<void> {
    await this.#machine.stop();
  }
}

const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

class Terminal {
  readonly gate = new OutputGate();
  taken = false;
  onData: (bytes: Uint8Array) => void = () => {};
}

function consoleDevice(
  terminals: readonly Terminal[],
  onAgent: (bytes: Uint8Array) => void,
): VirtioConsole {
  return new VirtioConsole([
    { console: true, onData: () => undefined },
    { name: agentPortName, onData: onAgent },
    ...terminals.map((terminal) => ({
      console: true,
      onData: (bytes: Uint8Array) => {
        terminal.onData(bytes);
        return terminal.gate.sent(bytes.length);
      },
    })),
  ]);
}

function configuration(hostname: string) {
  return {
    hostname,
    entropy: crypto.getRandomValues(new Uint8Array(32)),
    volumes: [],
  };
}

/** Counts what is read of a Source. */
class CountedSource implements Source {
  readonly #source: Source;
  readonly size: number;
  bytesRead = 0;

  constructor(source: Source) {
    this.#source = source;
    this.size = source.size;
  }

  read(...args: Parameters<Source['read']>): ReturnType<Source['read']> {
    this.bytesRead += args[1];
    return this.#source.read(...args);
  }
}
