import type { CallOptions } from '@anole/bytes';
import { SandboxError } from './errors.ts';
import type { SandboxOptions } from './options.ts';
import { Sandbox } from './sandbox.ts';

export interface PoolOptions {
  /** Sandboxes that are kept ready, 0 to 1000. Default 2. Each takes memory for what it touched. */
  readonly size?: number;
}

const defaultSize = 2;
const maxSize = 1000;
/** Sandboxes that are made at once: more only take each other's time. */
const atOnce = 2;
/** How long the one that is taken has the computer to itself, before the next one is made. */
const grace = 100; // ms
/** How long the first command of a sandbox may take. */
const warmPatience = 10_000; // ms

/**
 * Keeps sandboxes ready, so that one is there when it is wanted. What is taken belongs to who took it,
 * and is replaced in the background; what was not taken closes with the pool.
 *
 * @example
 * await using pool = SandboxPool.of('os:python', { size: 4 });
 * await using sandbox = await pool.take();
 *
 * // Copies of one that is warmed up:
 * await using copies = new SandboxPool(() => warmed.fork(), { size: 10 });
 */
export class SandboxPool implements AsyncDisposable {
  readonly #make: (signal: AbortSignal) => Promise<Sandbox>;
  readonly #size: number;
  readonly #ready: Sandbox[] = [];
  readonly #waiting: PromiseWithResolvers<Sandbox>[] = [];
  readonly #making = new Set<Promise<void>>();
  readonly #closed = new AbortController();
  #later: NodeJS.Timeout | undefined;

  /**
   * @param make gives a sandbox that takes commands; its signal is aborted when the pool closes
   * @throws SandboxError `SANDBOX_BAD_OPTION`
   */
  constructor(make: (signal: AbortSignal) => Promise<Sandbox>, options: PoolOptions = {}) {
    const { size = defaultSize } = options;
    if (!Number.isInteger(size) || size < 0 || size > maxSize) {
      throw new SandboxError('SANDBOX_BAD_OPTION', `Cannot keep ${size} sandboxes ready`, {
        hint: `Give 0 to ${maxSize}`,
      });
    }
    this.#make = make;
    this.#size = size;
    this.#fill();
  }

  /**
   * A pool of an image: `options` are those of `Sandbox.create`, for each of them. Each has run a
   * command that does nothing: the first one in a sandbox takes several times as long as the next.
   */
  static of(
    image: string,
    { size, ...options }: PoolOptions & Omit<SandboxOptions, 'lifetime' | 'signal'> = {},
  ): SandboxPool {
    const make = async (signal: AbortSignal) =>
      warm(await Sandbox.create(image, { ...options, signal }));
    return new SandboxPool(make, size === undefined ? {} : { size });
  }

  /** Sandboxes that wait to be taken. */
  get ready(): number {
    return this.#ready.length;
  }

  /**
   * A sandbox that is ready, else the next one that will be.
   *
   * @throws SandboxError `SANDBOX_CLOSED` where the pool was closed; what making one threw
   */
  async take({ signal }: Pick<CallOptions, 'signal'> = {}): Promise<Sandbox> {
    signal?.throwIfAborted();
    if (this.#closed.signal.aborted) throw closed();
    for (let next = this.#ready.shift(); next !== undefined; next = this.#ready.shift()) {
      // It may have ended meanwhile: somebody ran out of memory.
      if (next.state !== 'running') continue;
      this.#later ??= setTimeout(() => this.#fill(), grace).unref();
      return next;
    }
    const waiting = Promise.withResolvers<Sandbox>();
    const leave = () => {
      const at = this.#waiting.indexOf(waiting);
      if (at >= 0) this.#waiting.splice(at, 1);
      waiting.reject(signal?.reason);
    };
    signal?.addEventListener('abort', leave, { once: true });
    this.#waiting.push(waiting);
    this.#fill();
    try {
      return await waiting.promise;
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  }

  /** Closes all that was not taken; who waits for one gets `SANDBOX_CLOSED`. */
  async close(): Promise<void> {
    this.#closed.abort(closed());
    clearTimeout(this.#later);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(closed());
    await Promise.all(this.#making);
    await Promise.all(this.#ready.splice(0).map((sandbox) => sandbox.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #fill(): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    const wanted = this.#size + this.#waiting.length - this.#ready.length - this.#making.size;
    const free = atOnce - this.#making.size;
    for (let count = Math.min(wanted, free); count > 0; count--) {
      const making: Promise<void> = this.#makeOne().then((made) => {
        this.#making.delete(making);
        // What went wrong would go wrong again: it is tried for those who wait.
        const go = made || this.#waiting.length > 0;
        if (go && !this.#closed.signal.aborted) this.#fill();
      });
      this.#making.add(making);
    }
  }

  /** Makes one for who waits longest, who is told what goes wrong. Whether it was made. */
  async #makeOne(): Promise<boolean> {
    const { signal } = this.#closed;
    try {
      const sandbox = await this.#make(signal);
      if (signal.aborted) await sandbox.close();
      else this.#give(sandbox);
      return true;
    } catch (error) {
      this.#waiting.shift()?.reject(error);
      return false;
    }
  }

  #give(sandbox: Sandbox): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#ready.push(sandbox);
    else waiting.resolve(sandbox);
  }
}

/** Runs a command that is in most images, for what it brings into memory. */
async function warm(sandbox: Sandbox): Promise<Sandbox> {
  try {
    await (await sandbox.exec(['true'], { timeout: warmPatience })).output();
  } catch {
    // Where it is not, the sandbox is as good as before.
  }
  return sandbox;
}

function closed(): SandboxError {
  return new SandboxError('SANDBOX_CLOSED', 'Cannot take a sandbox: the pool was closed');
}
