import type { TerminalSize } from '@anole/sandbox';

const escapeKey = 0x1d; // Ctrl-]
const escapesWanted = 3;
const escapeWithin = 1000; // ms

/**
 * The user's terminal while a command of the guest has it: raw, so that each key reaches the guest.
 * Ctrl-] three times within a second gives up, as with systemd-nspawn.
 */
export class RawTerminal implements Disposable {
  readonly #input: NodeJS.ReadStream;
  readonly #output: NodeJS.WriteStream;
  readonly #restore = () => {
    if (this.#input.isRaw) this.#input.setRawMode(false);
  };
  #onResize: (() => void) | undefined;
  #escapes: number[] = [];

  constructor(input: NodeJS.ReadStream, output: NodeJS.WriteStream) {
    this.#input = input;
    this.#output = output;
    process.on('exit', this.#restore);
    input.setRawMode(true);
    // Node's raw mode still turns LF into CR LF; the guest's terminal has done so where it should.
    const { spawnSync } = process.getBuiltinModule('node:child_process');
    spawnSync('stty', ['-opost'], { stdio: [input, 'ignore', 'ignore'] });
  }

  get size(): TerminalSize {
    return { columns: this.#output.columns || 80, rows: this.#output.rows || 24 };
  }

  onResize(handler: (size: TerminalSize) => void): void {
    this.#onResize = () => handler(this.size);
    this.#output.on('resize', this.#onResize);
  }

  /** What the user types, until the terminal is given back. */
  async *keys(giveUp: () => void): AsyncGenerator<Uint8Array> {
    for await (const bytes of this.#input as AsyncIterable<Buffer>) {
      for (const byte of bytes) if (byte === escapeKey && this.#third()) giveUp();
      yield bytes;
    }
  }

  [Symbol.dispose](): void {
    this.#restore();
    process.off('exit', this.#restore);
    if (this.#onResize) this.#output.off('resize', this.#onResize);
  }

  #third(): boolean {
    const now = Date.now();
    this.#escapes = [...this.#escapes.filter((at) => now - at < escapeWithin), now];
    return this.#escapes.length >= escapesWanted;
  }
}
