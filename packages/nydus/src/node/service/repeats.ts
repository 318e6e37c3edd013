/** Milliseconds for which what has been said is counted only. */
const PAUSE = 60_000;
/** What is remembered to have been said, at most: what a line is about comes from outside. */
const MOST = 256;

export type LogEvent = Readonly<Record<string, unknown>>;

interface Said {
  event: LogEvent;
  times: number;
  readonly timer: NodeJS.Timeout;
}

/**
 * Says a thing once, and then each minute how often it came again: a full disk makes hundreds of errors a second, and their
 * lines would take what room is left.
 */
export class Repeats implements Disposable {
  readonly #log: (event: LogEvent) => void;
  readonly #said = new Map<string, Said>();

  constructor(log: (event: LogEvent) => void) {
    this.#log = log;
  }

  /** @param key events of one key are the same to who reads of them */
  tell(key: string, event: LogEvent): void {
    const said = this.#said.get(key);
    if (said) {
      said.event = event;
      said.times++;
      return;
    }
    const [oldest] = this.#said;
    if (this.#said.size >= MOST && oldest) this.#end(...oldest);
    this.#log(event);
    const timer = setInterval(() => this.#look(key), PAUSE).unref();
    this.#said.set(key, { event, times: 0, timer });
  }

  /** Says what was not said yet. */
  [Symbol.dispose](): void {
    for (const each of [...this.#said]) this.#end(...each);
  }

  #look(key: string): void {
    const said = this.#said.get(key);
    if (said === undefined) return;
    if (said.times === 0) this.#end(key, said);
    else this.#log({ ...said.event, times: said.times });
    said.times = 0;
  }

  #end(key: string, { event, times, timer }: Said): void {
    clearInterval(timer);
    this.#said.delete(key);
    if (times > 0) this.#log({ ...event, times });
  }
}
