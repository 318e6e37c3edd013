import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** Why there is no browser here, or false. */
export function noChromium(): string | false {
  const { error } = spawnSync('chromium', ['--version'], { stdio: 'ignore' });
  return error ? 'chromium is not installed' : false;
}

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

interface Waiting {
  resolve(result: Record<string, unknown>): void;
  reject(error: Error): void;
}

/**
 * Chromium without a window, spoken to by its DevTools protocol through a pipe: no port, no library.
 * Ended, with all its pages, when it goes out of scope.
 */
export class Chromium implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #pages = new Map<string, Page>();
  #rest = '';
  #next = 0;

  constructor() {
    this.#profile = mkdtempSync(join(tmpdir(), 'anole-chromium-'));
    const flags = [
      '--headless=new',
      // Tests run as root in containers, with little shared memory.
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--no-first-run',
      '--remote-debugging-pipe',
      `--user-data-dir=${this.#profile}`,
      'about:blank',
    ];
    this.#child = spawn('chromium', flags, {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    const input = this.#child.stdio[4] as Readable;
    input.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    this.#child.on('exit', () => this.#end(new Error('chromium has ended')));
    this.#child.on('error', (error) => this.#end(error));
    // What is sent after its end has its answer by then.
    (this.#child.stdio[3] as Writable).on('error', () => undefined);
  }

  /** Opens a page and waits until it has loaded. */
  async open(url: string): Promise<Page> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, String(sessionId));
    this.#pages.set(page.session, page);
    await page.send('Runtime.enable');
    await page.send('Page.enable');
    await page.go(url);
    return page;
  }

  send(
    method: string,
    params: Record<string, unknown> = {},
    sessionId?: string,
  ): Promise<Record<string, unknown>> {
    const id = ++this.#next;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const message = JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) });
      (this.#child.stdio[3] as Writable).write(`${message}\0`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended =
      this.#child.exitCode !== null || this.#child.pid === undefined
        ? undefined
        : new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
    // Its other processes may still write for a moment.
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  #take(text: string): void {
    const parts = (this.#rest + text).split('\0');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) this.#answer(JSON.parse(part) as Answer);
  }

  #answer({ id, method, sessionId, params, result, error }: Answer): void {
    if (id === undefined) {
      if (sessionId !== undefined && method)
        this.#pages.get(sessionId)?.happened(method, params ?? {});
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result ?? {});
  }

  #end(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

interface Evaluated {
  readonly result: { readonly value?: unknown };
  readonly exceptionDetails?: {
    readonly text: string;
    readonly exception?: { readonly description?: string };
  };
}

/** A page of the browser. */
export class Page {
  readonly session: string;
  /** What the page wrote to its console, and what it failed to catch. */
  readonly console: string[] = [];
  readonly #browser: Chromium;
  #loaded: (() => void) | undefined;

  constructor(browser: Chromium, session: string) {
    this.#browser = browser;
    this.session = session;
  }

  send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    return this.#browser.send(method, params, this.session);
  }

  async go(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.#loaded = resolve;
    });
    await this.send('Page.navigate', { url });
    await loaded;
  }

  /**
   * Runs the body of an async function in the page; gives what it returns, which must survive JSON.
   * What it throws is raised here.
   */
  async run<T>(body: string): Promise<T> {
    const answer = (await this.send('Runtime.evaluate', {
      expression: `(async () => { ${body} })()`,
      awaitPromise: true,
      returnByValue: true,
    })) as unknown as Evaluated;
    const { exceptionDetails: failed } = answer;
    if (failed === undefined) return answer.result.value as T;
    throw new Error([failed.exception?.description ?? failed.text, ...this.console].join('\n'));
  }

  happened(method: string, params: Record<string, unknown>): void {
    if (method === 'Page.loadEventFired') this.#loaded?.();
    if (method === 'Runtime.consoleAPICalled') {
      const args = params['args'] as { value?: unknown; description?: string }[];
      this.console.push(
        args.map(({ value, description }) => String(value ?? description)).join(' '),
      );
    }
    if (method === 'Runtime.exceptionThrown') this.console.push(JSON.stringify(params));
  }
}
