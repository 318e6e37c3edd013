import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { fileURLToPath } from 'node:url';
import { ArchiveError } from './errors.ts';

/** How patient the client is. All in milliseconds. */
export interface NetworkOptions {
  /** Silence after which a connection is given up. Default 30,000. */
  readonly stall?: number;
  /** How often a request is made again. Default 3. */
  readonly retries?: number;
  /** Pause before the first repetition; each next one is three times as long. Default 300. */
  readonly pause?: number;
}

export interface GetOptions {
  /** First byte wanted. */
  readonly start?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** What a server, or the file system, answered. The body must be read or closed. */
export interface Answer {
  readonly status: number;
  /** Offset of the body's first byte. */
  readonly start: number;
  header(name: string): string | undefined;
  /** The body's end can be told from a broken connection. */
  readonly delimited: boolean;
  readonly body: AsyncIterable<Uint8Array>;
  close(): void;
}

const mostRedirects = 5;
const sockets = 16;

/**
 * A client for `http:`, `https:` and `file:` that keeps connections open, goes through proxies and
 * gives up connections that fall silent.
 */
export class HttpClient implements Disposable {
  readonly #stall: number;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  /** `proxies`: variables such as `http_proxy` and `no_proxy`. */
  constructor(
    options: NetworkOptions = {},
    proxies: Readonly<Record<string, string | undefined>> = {},
  ) {
    this.#stall = options.stall ?? 30_000;
    const agent = { keepAlive: true, maxSockets: sockets, proxyEnv: { ...proxies } };
    this.#http = new HttpAgent(agent);
    this.#https = new HttpsAgent(agent);
  }

  /** @throws ArchiveError `ARCHIVE_UNREACHABLE`; the body's iteration does too. */
  async get(uri: string, options: GetOptions = {}): Promise<Answer> {
    let url = new URL(uri);
    for (let redirects = 0; ; redirects++) {
      options.signal?.throwIfAborted();
      if (url.protocol === 'file:') return getFile(url, options);
      const answer = await this.#request(url, options);
      const location = answer.header('location');
      if (answer.status < 300 || answer.status >= 400 || location === undefined) return answer;
      answer.close();
      if (redirects === mostRedirects) throw unreachable(url, `over ${mostRedirects} redirects`);
      url = redirected(url, location);
    }
  }

  async #request(url: URL, options: GetOptions): Promise<Answer> {
    const isPlain = url.protocol === 'http:';
    const make = isPlain ? httpRequest : httpsRequest;
    const headers: Record<string, string> = { 'user-agent': 'anole', ...options.headers };
    if (options.start) headers['range'] = `bytes=${options.start}-`;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = make(url, {
      agent: isPlain ? this.#http : this.#https,
      headers,
      timeout: this.#stall,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    request.on('response', resolve);
    request.on('timeout', () => request.destroy(new Error(`silent for ${this.#stall} ms`)));
    request.on('error', reject);
    request.end();
    try {
      return answerOf(url, await promise, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw unreachable(url, error);
    }
  }

  [Symbol.dispose](): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

function answerOf(url: URL, response: IncomingMessage, options: GetOptions): Answer {
  const status = response.statusCode ?? 0;
  const header = (name: string) => {
    const value = response.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const range = /^bytes (\d+)-/.exec(header('content-range') ?? '');
  const start = status === 206 && range !== null ? Number(range[1]) : 0;
  return {
    status,
    start,
    header,
    delimited: ['content-length', 'transfer-encoding'].some((name) => header(name) !== undefined),
    body: bodyOf(url, response, options),
    close: () => response.destroy(),
  };
}

async function* bodyOf(
  url: URL,
  response: IncomingMessage,
  options: GetOptions,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw unreachable(url, error);
  } finally {
    response.destroy();
  }
}

async function getFile(url: URL, { start = 0, signal }: GetOptions): Promise<Answer> {
  const path = fileURLToPath(url);
  const found = await stat(path).catch(() => undefined);
  const status = found?.isFile() ? 200 : 404;
  const from = found !== undefined && start <= found.size ? start : 0;
  const stream =
    status === 200 ? createReadStream(path, { start: from, ...(signal ? { signal } : {}) }) : [];
  return {
    status,
    start: from,
    header: () => undefined,
    delimited: true,
    body: stream as AsyncIterable<Uint8Array>,
    close: () => 'destroy' in stream && stream.destroy(),
  };
}

function redirected(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
  const isSafe =
    to?.protocol === 'https:' || (to?.protocol === 'http:' && from.protocol === 'http:');
  if (to !== undefined && isSafe) return to;
  throw unreachable(from, `it redirects to ${JSON.stringify(location.slice(0, 200))}`);
}

/** A URI as messages show it: without a user's name and password. */
export function shownUri(uri: string | URL): string {
  const url = new URL(uri);
  url.username = '';
  url.password = '';
  return url.href;
}

export function unreachable(url: string | URL, why: unknown): ArchiveError {
  const reason = why instanceof Error ? describe(why) : String(why);
  return new ArchiveError('ARCHIVE_UNREACHABLE', `Cannot get ${shownUri(url)}: ${reason}`, {
    details: { uri: shownUri(url) },
    ...(why instanceof Error ? { cause: why } : {}),
    hint: 'Check the network and the proxy, or name another mirror with --mirror.',
  });
}

/** Node wraps several failed addresses of one host into an error without message. */
function describe(error: Error): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) {
    return error.errors[0].message;
  }
  return error.message || error.name;
}
