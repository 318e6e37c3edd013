import type { ClientRequest, Agent as HttpAgent, IncomingMessage } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { HttpAnswer, HttpRequest, HttpTransport } from '../registry/transport.ts';
import { readDirectly, takeBody } from './direct-body.ts';

/** Milliseconds of silence after which a connection is given up. */
export const DEFAULT_STALL = 30_000;

/**
 * Imported, `node:http` reads all its exports, and with WebSocket a client of its own of 15,000 lines:
 * a tenth of a second that a pull does not have.
 */
const http = () => process.getBuiltinModule('node:http');
const https = () => process.getBuiltinModule('node:https');

/** What a registry is shown and must show, in PEM. */
export interface Certificates {
  /** Authorities that are trusted beside those of the system. */
  readonly authorities?: readonly string[];
  readonly certificate?: string;
  readonly key?: string;
}

export interface NodeTransportOptions {
  /** Milliseconds of silence after which a connection is given up. Default 30,000. */
  readonly stall?: number | undefined;
  /** Connections to one host. Default 8. */
  readonly connections?: number;
  /** Certificates for a host with its port, as in the URL. */
  certificatesFor?(host: string): Promise<Certificates>;
  /** Whether a server's certificate is not looked at. Default false. */
  readonly insecure?: boolean;
  /** Variables such as `https_proxy` and `no_proxy`. Default the environment's. */
  readonly proxies?: Readonly<Record<string, string | undefined>>;
}

/** HTTP of Node: connections are kept, proxies and certificates known, silence is noticed. */
export class NodeTransport implements HttpTransport, Disposable {
  readonly takesLent = true;
  private readonly options: NodeTransportOptions;
  private plain: HttpAgent | undefined;
  private readonly https = new Map<string, Promise<HttpsAgent>>();

  constructor(options: NodeTransportOptions = {}) {
    this.options = options;
  }

  async send(request: HttpRequest): Promise<HttpAnswer> {
    const { url, signal } = request;
    const stall = this.options.stall ?? DEFAULT_STALL;
    const isPlain = url.protocol === 'http:';
    const agent = isPlain ? this.plainAgent() : await this.agentFor(url.host);
    const make = isPlain ? http().request : https().request;
    const sent = make(url, {
      agent,
      method: request.method,
      headers: request.headers,
      timeout: stall,
      ...(signal && { signal }),
    });
    let silence: Error | undefined;
    sent.on('timeout', () => {
      silence = new Error(`silent for ${stall} ms`);
      sent.destroy(silence);
    });
    const { response, body } = await answered(sent, request);
    return {
      status: response.statusCode ?? 0,
      header(name) {
        const value = response.headers[name];
        return Array.isArray(value) ? value[0] : value;
      },
      body: explained(body ?? bodyOf(response, sent), () => silence),
      close: () => closeAnswer(response, request.method === 'HEAD'),
    };
  }

  [Symbol.dispose](): void {
    this.plain?.destroy();
    for (const agent of this.https.values()) void agent.then((each) => each.destroy());
  }

  private plainAgent(): HttpAgent {
    this.plain ??= this.readsDirectly(new (http().Agent)(this.agentOptions()));
    return this.plain;
  }

  private agentFor(host: string): Promise<HttpsAgent> {
    let agent = this.https.get(host);
    if (agent === undefined) {
      agent = this.makeAgent(host);
      this.https.set(host, agent);
    }
    return agent;
  }

  private async makeAgent(host: string): Promise<HttpsAgent> {
    const { certificatesFor, insecure } = this.options;
    const { authorities, certificate, key } = (await certificatesFor?.(host)) ?? {};
    const own = authorities && authorities.length > 0 ? await withSystem(authorities) : undefined;
    const agent = new (https().Agent)({
      ...this.agentOptions(),
      ...(own && { ca: own }),
      ...(certificate !== undefined && { cert: certificate }),
      ...(key !== undefined && { key }),
      ...(insecure && { rejectUnauthorized: false }),
    });
    return this.readsDirectly(agent);
  }

  /** What leads through a proxy is Node's affair. */
  private readsDirectly<A extends HttpAgent>(agent: A): A {
    const { proxies = process.env } = this.options;
    const names = ['http_proxy', 'https_proxy'].flatMap((name) => [name, name.toUpperCase()]);
    return names.some((name) => proxies[name]) ? agent : readDirectly(agent);
  }

  private agentOptions() {
    const { connections: maxSockets = 8, proxies = process.env } = this.options;
    return { keepAlive: true, maxSockets, proxyEnv: { ...proxies } };
  }
}

async function withSystem(authorities: readonly string[]): Promise<string[]> {
  const { getCACertificates } = await import('node:tls');
  return [...getCACertificates('default'), ...authorities];
}

interface Answered {
  readonly response: IncomingMessage;
  /** Where it is read past Node's parser. */
  readonly body: AsyncIterable<Uint8Array> | undefined;
}

/** Sends the body while the answer is waited for: a server may refuse before it has all. */
async function answered(
  sent: ClientRequest,
  { body, method, lent = false }: HttpRequest,
): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const isStream = body !== undefined && !(body instanceof Uint8Array);
  let early = false;
  sent.on('response', (response) => {
    early = true;
    const { socket } = response;
    response.once('end', () => {
      // A server that refuses a body may never read it: what came behind it on this connection would wait.
      const isRefused = isStream && (response.statusCode ?? 0) >= 400;
      if (isRefused || !sent.writableFinished) socket.destroy();
    });
    resolve({ response, body: method === 'GET' ? takeBody(response, lent) : undefined });
  });
  sent.on('error', reject);
  if (!isStream) sent.end(body);
  else {
    send(sent, body).catch((error: unknown) => {
      sent.destroy();
      // A server that has answered may close its end.
      if (!early) reject(error);
    });
  }
  return promise;
}

/** Sends a body chunk by chunk: the next one is asked for when the kernel has the one before. */
async function send(sent: ClientRequest, body: AsyncIterable<Uint8Array>): Promise<void> {
  const ended = () => sent.errored ?? new Error('the connection ended');
  let fail: (error: Error) => void = () => {};
  const onClose = () => fail(ended());
  sent.on('close', onClose);
  try {
    for await (const chunk of body) {
      if (sent.destroyed) throw ended();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      fail = reject;
      sent.write(chunk, (error) => (error ? reject(error) : resolve()));
      await promise;
    }
    sent.end();
  } finally {
    sent.off('close', onClose);
  }
}

async function* bodyOf(response: IncomingMessage, sent: ClientRequest): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array;
    // A body that ends early, with its length known, is an error of its own in Node.
  } finally {
    if (!response.complete) sent.destroy();
  }
}

/** A body that fails says why, where that is known: to Node it has just been aborted. */
async function* explained(
  body: AsyncIterable<Uint8Array>,
  reason: () => Error | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw reason() ?? error;
  }
}

/** What is small is read to its end, so that its connection serves again. */
function closeAnswer(response: IncomingMessage, isEmpty: boolean): void {
  if (response.readableEnded || response.destroyed) return;
  const length = Number(response.headers['content-length'] ?? Number.NaN);
  if (response.readableFlowing === null && (length <= 65_536 || isEmpty)) {
    response.on('error', () => {});
    response.resume();
  } else response.destroy();
}
