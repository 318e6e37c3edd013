import { randomBytes } from 'node:crypto';
import { Sandbox } from '@anole/sandbox';
import { ApiError, notFound } from './errors.ts';
import { Processes } from './processes.ts';

/** The version of the protocol inside sandboxes that is spoken. */
export const envdVersion = '0.5.7';

export interface BoxOptions {
  readonly image: string;
  readonly templateId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  /** Whether public addresses can be reached. */
  readonly internet: boolean;
  /** Milliseconds until it is paused or killed. */
  readonly timeout: number;
  readonly onTimeout: 'pause' | 'kill';
}

type LastingOptions = Omit<BoxOptions, 'timeout' | 'image'>;

/** One sandbox of a client. */
export class Box {
  readonly id = `i${randomBytes(10).toString('hex')}`;
  /** Known to the client alone: opens the sandbox's own services. */
  readonly token = randomBytes(24).toString('hex');
  /** The key whose client it belongs to. */
  readonly owner: string;
  readonly options: LastingOptions;
  readonly sandbox: Sandbox;
  readonly processes: Processes;
  readonly startedAt = new Date();
  endAt = new Date();
  #timer: NodeJS.Timeout | undefined;

  constructor(owner: string, sandbox: Sandbox, options: LastingOptions) {
    this.owner = owner;
    this.sandbox = sandbox;
    this.options = options;
    this.processes = new Processes(sandbox, options.env);
  }

  setTimeout(timeout: number): void {
    clearTimeout(this.#timer);
    this.endAt = new Date(Date.now() + timeout);
    this.#timer = setTimeout(() => this.#late(), timeout);
    this.#timer.unref();
  }

  pause(): void {
    clearTimeout(this.#timer);
    this.sandbox.pause();
  }

  resume(timeout: number): void {
    this.sandbox.resume();
    this.setTimeout(timeout);
  }

  async kill(): Promise<void> {
    clearTimeout(this.#timer);
    await this.sandbox.kill();
  }

  #late(): void {
    if (this.options.onTimeout === 'kill') void this.kill();
    else if (this.sandbox.state === 'running') this.pause();
  }
}

/** The sandboxes of all clients. */
export class Boxes {
  readonly #boxes = new Map<string, Box>();
  readonly #most: number;
  #coming = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** @throws ApiError where there are too many */
  async create(owner: string, options: BoxOptions): Promise<Box> {
    const network = options.internet ? true : { public: false };
    const { timeout, image, ...lasting } = options;
    const make = () => Sandbox.create(image, { network });
    return await this.#add(async () => new Box(owner, await make(), lasting), timeout);
  }

  async restore(owner: string, path: string, options: Omit<BoxOptions, 'image'>): Promise<Box> {
    const { timeout, ...lasting } = options;
    const network = options.internet ? { network: true } : {};
    const make = () => Sandbox.restore(path, network);
    return await this.#add(async () => new Box(owner, await make(), lasting), timeout);
  }

  async fork(box: Box, timeout: number): Promise<Box> {
    const copy = async () => new Box(box.owner, await box.sandbox.fork(), box.options);
    return await this.#add(copy, timeout);
  }

  /** One's own. @throws ApiError 404, also for those of others */
  get(owner: string, id: string): Box {
    const box = this.#boxes.get(id);
    if (box?.owner !== owner) throw notFound(`sandbox ${id} not found`);
    return box;
  }

  /** One that shows its own token instead of a key. */
  find(id: string): Box | undefined {
    return this.#boxes.get(id);
  }

  of(owner: string): Box[] {
    return [...this.#boxes.values()].filter((box) => box.owner === owner);
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#boxes.values()].map((box) => box.kill()));
  }

  async #add(make: () => Promise<Box>, timeout: number): Promise<Box> {
    if (this.#boxes.size + this.#coming >= this.#most) {
      throw new ApiError(429, 'resource_exhausted', `there are ${this.#most} sandboxes already`);
    }
    this.#coming++;
    try {
      const box = await make();
      this.#boxes.set(box.id, box);
      box.sandbox.once('ended', () => this.#boxes.delete(box.id));
      box.setTimeout(timeout);
      return box;
    } finally {
      this.#coming--;
    }
  }
}
