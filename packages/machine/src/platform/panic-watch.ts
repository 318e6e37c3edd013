const pattern = /Kernel panic - not syncing: ([^\r\n]*)\r?\n/;
const marker = 'Kernel panic - not syncing: ';
/** What is kept of an unfinished line. */
const MAX_TAIL = 1024;

/** Watches a Linux console for the reason of a panic: a reset alone does not say why. */
export class PanicWatch {
  readonly #decoder = new TextDecoder();
  #tail = '';
  #message: string | undefined;

  /** What the kernel gave as its reason, once it panicked. */
  get message(): string | undefined {
    return this.#message;
  }

  feed(bytes: Uint8Array): void {
    if (this.#message !== undefined) return;
    const text = this.#tail + this.#decoder.decode(bytes, { stream: true });
    const found = text.includes(marker) ? pattern.exec(text) : null;
    if (found !== null) this.#message = found[1]!;
    const lineStart = text.lastIndexOf('\n') + 1;
    this.#tail = text.slice(Math.max(lineStart, text.length - MAX_TAIL));
  }
}
