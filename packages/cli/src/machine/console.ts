import { once } from 'node:events';
import { type ConsolePortOptions, type Machine, VirtioConsole } from '@anole/machine';
import { RawTerminal } from '../run/terminal.ts';

/** How the user's streams meet the guest's console. */
export class GuestConsole implements Disposable {
  /** The device behind `hvc0`. */
  readonly device: VirtioConsole;
  /** Aborts when the user gave up with Ctrl-] three times. */
  readonly signal: AbortSignal;
  readonly #serial: boolean;
  readonly #terminal: RawTerminal | undefined;
  readonly #gaveUp = new AbortController();

  /** @param commandLine decides whether input goes to the serial port or to `hvc0` */
  constructor(commandLine: string) {
    this.signal = this.#gaveUp.signal;
    const consoles = [...commandLine.matchAll(/(?:^|\s)console=(\S+)/g)];
    // The kernel gives /dev/console to the last one named.
    this.#serial = consoles.at(-1)?.[1]?.startsWith('ttyS') ?? false;
    const interactive = process.stdin.isTTY && process.stdout.isTTY;
    this.#terminal = interactive ? new RawTerminal(process.stdin, process.stdout) : undefined;
    const size = this.#terminal?.size;
    const port: ConsolePortOptions = { console: true, onData: write, ...(size && { size }) };
    this.device = new VirtioConsole([port]);
    this.#terminal?.onResize((newSize) => this.device.ports[0]!.resize(newSize));
  }

  /** Passes standard input on, at the pace the guest takes it. */
  async pumpInput(machine: Machine): Promise<void> {
    const input = this.#terminal?.keys(() => this.#gaveUp.abort()) ?? process.stdin;
    for await (const bytes of input as AsyncIterable<Uint8Array>) {
      if (this.#serial) await machine.writeSerial(bytes);
      else await this.device.ports[0]!.write(bytes);
    }
  }

  [Symbol.dispose](): void {
    this.#terminal?.[Symbol.dispose]();
    process.stdin.destroy();
  }
}

/** Writes to standard output; pending while its reader is behind. */
function write(bytes: Uint8Array): Promise<void> | undefined {
  if (process.stdout.write(bytes)) return undefined;
  return once(process.stdout, 'drain').then(
    () => {},
    () => {},
  );
}
