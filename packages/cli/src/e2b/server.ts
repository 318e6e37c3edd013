import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { Api, type ApiOptions } from './api.ts';
import { type Box, Boxes } from './boxes.ts';
import { answerCall, type Method } from './connect.ts';
import { ApiError, apiError, unauthenticated } from './errors.ts';
import { Filesystem } from './filesystem.ts';
import { jsonOf, sendJson } from './http.ts';
import { checkSignature, same, transfer } from './transfers.ts';

/** The port of a sandbox's own services, as clients name it. */
const envdPort = 49983;

export interface ServeOptions extends ApiOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Whoever has one is a client, and sees its own sandboxes. */
  readonly keys: readonly string[];
  readonly maxSandboxes: number;
}

export interface E2bServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves the protocol of E2B's sandboxes: the API at its paths, and each sandbox's own services and
 * ports by the headers `E2b-Sandbox-Id` and `E2b-Sandbox-Port`, or a host `PORT-ID.anything`.
 */
export async function serveE2b(options: ServeOptions): Promise<E2bServer> {
  const boxes = new Boxes(options.maxSandboxes);
  const door = new Door(boxes, options);
  const server = createServer((request, response) => void door.answer(request, response));
  server.requestTimeout = 0;
  server.on('upgrade', (request, socket, head) => door.upgrade(request, socket, head));
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await boxes.close();
    },
  };
}

function listen(server: Server, { host, port }: ServeOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
}

class Door {
  readonly #boxes: Boxes;
  readonly #api: Api;
  readonly #keys: readonly string[];
  readonly #filesystems = new WeakMap<Box, Filesystem>();

  constructor(boxes: Boxes, options: ServeOptions) {
    this.#boxes = boxes;
    this.#api = new Api(boxes, options);
    this.#keys = options.keys;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const target = targetOf(request);
      if (target === undefined) await this.#answerApi(request, response);
      else if (target.port === envdPort) await this.#answerBox(target.id, request, response);
      else this.#forward(target, request, response);
    } catch (error) {
      const { status, code, message } = apiError(error);
      if (response.headersSent) response.destroy();
      else sendJson(response, status, { code: status, error: code, message });
    }
  }

  /** A connection that becomes something else, such as a WebSocket, to a port of a sandbox. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const target = targetOf(request);
    const box = target && this.#boxes.find(target.id);
    if (box === undefined || target === undefined || target.port === envdPort) {
      socket.destroy();
      return;
    }
    try {
      const inside = box.sandbox.connect(target.port);
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let at = 0; at < request.rawHeaders.length; at += 2) {
        lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
      }
      inside.write(`${lines.join('\r\n')}\r\n\r\n`);
      if (head.length > 0) inside.write(head);
      for (const [one, other] of [
        [socket, inside],
        [inside, socket],
      ] as const) {
        one.on('error', () => other.destroy());
        one.on('close', () => other.destroy());
      }
      socket.pipe(inside).pipe(socket);
    } catch {
      socket.destroy();
    }
  }

  async #answerApi(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = urlOf(request);
    if (url.pathname === '/health') {
      sendJson(response, 200, {});
      return;
    }
    const key = headerOf(request, 'x-api-key');
    const owner = this.#keys.find((each) => same(each, key));
    if (owner === undefined) throw unauthenticated();
    const method = request.method ?? 'GET';
    const { status, value } = await this.#api.answer(owner, method, url, () => jsonOf(request));
    if (value === undefined) response.writeHead(status).end();
    else sendJson(response, status, value);
  }

  async #answerBox(id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const box = this.#boxes.find(id);
    if (box === undefined) throw gone(id);
    const url = urlOf(request);
    if (url.pathname === '/health') {
      response.writeHead(box.sandbox.state === 'running' ? 204 : 502).end();
      return;
    }
    const signed = url.pathname === '/files' && url.searchParams.has('signature');
    if (signed) checkSignature(url, request.method ?? 'GET', box.token);
    else if (!same(headerOf(request, 'x-access-token'), box.token)) throw unauthenticated();
    if (box.sandbox.state !== 'running') throw gone(id);
    if (url.pathname === '/files') await transfer(box.sandbox.files, url, request, response);
    else await answerCall(this.#method(box, url.pathname), request, response);
  }

  #method(box: Box, path: string): Method {
    const [, service, name = ''] = path.split('/');
    const methods =
      service === 'process.Process'
        ? box.processes.methods
        : service === 'filesystem.Filesystem'
          ? this.#filesystemOf(box).methods
          : {};
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    if (method === undefined) throw new ApiError(404, 'unimplemented', `${path} is not served`);
    return method;
  }

  #filesystemOf(box: Box): Filesystem {
    const there = this.#filesystems.get(box);
    if (there !== undefined) return there;
    const made = new Filesystem(box.sandbox.files);
    this.#filesystems.set(box, made);
    return made;
  }

  /** A request to a server in a sandbox. */
  #forward({ id, port }: Target, request: IncomingMessage, response: ServerResponse): void {
    const box = this.#boxes.find(id);
    if (box === undefined || box.sandbox.state !== 'running') throw gone(id);
    const { method, headers, url } = request;
    const inside = httpRequest(
      {
        ...(method !== undefined && { method }),
        ...(url !== undefined && { path: url }),
        headers,
        createConnection: () => box.sandbox.connect(port),
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
        answer.on('error', () => response.destroy());
      },
    );
    inside.on('error', () => {
      if (response.headersSent) response.destroy();
      else sendJson(response, 502, { code: 502, message: `port ${port} does not answer` });
    });
    response.on('close', () => inside.destroy());
    request.pipe(inside);
  }
}

interface Target {
  readonly id: string;
  readonly port: number;
}

/** The sandbox and the port that a request is for; undefined for the API. */
function targetOf(request: IncomingMessage): Target | undefined {
  const id = headerOf(request, 'e2b-sandbox-id');
  if (id !== '') return { id, port: Number(headerOf(request, 'e2b-sandbox-port')) || envdPort };
  const match = /^(\d{1,5})-([a-z0-9]+)\./.exec(request.headers.host ?? '');
  return match === null ? undefined : { port: Number(match[1]), id: match[2]! };
}

function headerOf(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
}

function urlOf(request: IncomingMessage): URL {
  return new URL(request.url ?? '/', 'http://sandbox.invalid');
}

function gone(id: string): ApiError {
  return new ApiError(502, 'unavailable', `The sandbox was not found: ${id}`);
}
