import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly headers: IncomingMessage['headers'];
}

/** A loopback server of one file, which can be made to misbehave. */
export class RangeServer implements AsyncDisposable {
  file: Uint8Array;
  etag: string | undefined = '"one"';
  /** Requests in the order in which they came, those for ranges with what they asked for. */
  readonly asked: Asked[] = [];
  /** Bytes of bodies. */
  sent = 0;
  /** Takes a request over: true where it has answered. */
  before:
    | ((request: IncomingMessage, response: ServerResponse, count: number) => boolean)
    | undefined;
  /** Added to each answer. */
  headers: Readonly<Record<string, string>> = {};
  readonly #server = createServer((request, response) => this.#answer(request, response));

  constructor(file: Uint8Array) {
    this.file = file;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return `${this.origin}/file`;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const start = Number(match?.[1] ?? 0);
    const last = Math.min(Number(match?.[2] ?? this.file.length - 1), this.file.length - 1);
    const { url: path = '', headers } = request;
    this.asked.push({ path, start, end: last + 1, headers });
    if (this.before?.(request, response, this.asked.length)) return;
    const validators = this.etag === undefined ? {} : { etag: this.etag };
    const ifRange = headers['if-range'];
    if (match === null || (ifRange !== undefined && ifRange !== this.etag)) {
      this.#send(response, 200, { ...validators }, this.file);
      return;
    }
    if (start >= this.file.length) {
      this.#send(response, 416, { 'content-range': `bytes */${this.file.length}` });
      return;
    }
    const range = `bytes ${start}-${last}/${this.file.length}`;
    this.#send(
      response,
      206,
      { ...validators, 'content-range': range },
      this.file.subarray(start, last + 1),
    );
  }

  #send(
    response: ServerResponse,
    status: number,
    headers: Record<string, string>,
    body: Uint8Array = new Uint8Array(0),
  ): void {
    response.writeHead(status, {
      'content-length': body.length,
      ...headers,
      ...this.headers,
    });
    this.sent += body.length;
    response.end(body);
  }
}
