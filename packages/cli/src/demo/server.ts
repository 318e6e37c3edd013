import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AnoleError } from '@anole/bytes';
import { PageModules, type ServedFile } from './modules.ts';
import { pageText } from './page-text.ts';

/** A file of this computer at a path. */
export type Offers = Readonly<Record<string, string>>;

/** The page of the demo, the modules it imports, and the files it starts from, on loopback. */
export class DemoServer implements AsyncDisposable {
  readonly #modules = new PageModules();
  readonly #offers: Offers;
  readonly #page: string;
  readonly #server = createServer((request, response) => this.#answer(request, response));

  constructor(offers: Offers, image: string) {
    this.#offers = offers;
    const stylesheet = '/modules/@xterm/xterm/css/xterm.css';
    const script = this.#modules.own(`page${import.meta.filename.slice(-3)}`);
    this.#page = pageText({ image, stylesheet, script });
  }

  /**
   * Gives the address of the page.
   *
   * @throws AnoleError `CLI_PORT` where another program has the port
   */
  async listen(port: number): Promise<string> {
    const listening = Promise.withResolvers<void>();
    this.#server.once('error', (cause: NodeJS.ErrnoException) =>
      listening.reject(
        new AnoleError('CLI_PORT', `Cannot listen on port ${port}: ${cause.code}`, {
          cause,
          hint: 'Give another one with --port, or none to have any that is free',
        }),
      ),
    );
    this.#server.listen(port, '127.0.0.1', listening.resolve);
    await listening.promise;
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    // Memory that threads share is for pages that let in nothing of others.
    response.setHeader('cross-origin-opener-policy', 'same-origin');
    response.setHeader('cross-origin-embedder-policy', 'require-corp');
    response.setHeader('cache-control', 'no-cache');
    const path = new URL(request.url ?? '/', 'http://127.0.0.1').pathname;
    if (!isOurs(request.headers.host)) refuse(response, 421);
    else if (request.method !== 'GET' && request.method !== 'HEAD') refuse(response, 405);
    else if (Object.hasOwn(this.#offers, path)) sendPart(this.#offers[path]!, request, response);
    else if (path === '/') send(response, { type: 'text/html; charset=utf-8', bytes: this.#page });
    else {
      const file = path.startsWith('/modules/') ? this.#modules.find(path) : undefined;
      if (file === undefined) refuse(response, 404);
      else send(response, file);
    }
  }
}

function send(response: ServerResponse, { type, bytes }: ServedFile): void {
  response.setHeader('content-type', type).end(bytes);
}

/** A page of elsewhere that has its name lead here asks by that name. */
function isOurs(host: string | undefined): boolean {
  return /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host ?? '');
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}

/** A file, or the part of it that is asked for (RFC 9110 section 14; one range). */
function sendPart(path: string, request: IncomingMessage, response: ServerResponse): void {
  const { size, mtimeMs } = statSync(path);
  const etag = `"${size.toString(36)}-${mtimeMs.toString(36)}"`;
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const same = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
  const whole = range === null || !same;
  const start = whole ? 0 : Number(range[1]);
  const end = whole || range[2] === '' ? size - 1 : Math.min(Number(range[2]), size - 1);
  if (start > end) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  response.writeHead(whole ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    'content-length': end - start + 1,
    etag,
    ...(!whole && { 'content-range': `bytes ${start}-${end}/${size}` }),
  });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const stream = createReadStream(path, { start, end });
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
}
