import type { Report } from './messages.ts';

/** What the agent says: heard in this thread until its owner is there, then passed on. */
export class AgentLine {
  readonly #tell: (report: Report, bytes: Uint8Array) => void;
  #open = false;
  #waiting: ((bytes: Uint8Array) => void) | undefined;
  readonly #heard: Uint8Array[] = [];

  constructor(tell: (report: Report, bytes: Uint8Array) => void) {
    this.#tell = tell;
  }

  readonly accept = (bytes: Uint8Array): void => {
    if (this.#open) {
      this.#tell({ type: 'agent', bytes }, bytes);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#heard.push(bytes);
    else waiting(bytes);
  };

  /** The next thing it says: one frame. */
  next(): Promise<Uint8Array> {
    const heard = this.#heard.shift();
    if (heard !== undefined) return Promise.resolve(heard);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** From now on its owner hears it, to whom it greets first. */
  open(hello: Uint8Array): void {
    this.#open = true;
    for (const bytes of [hello.slice(), ...this.#heard.splice(0)]) this.accept(bytes);
  }
}
