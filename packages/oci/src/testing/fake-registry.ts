import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { type Documents, RegistryClient, Repository } from '../index.ts';
import { NodeTransport } from '../node/index.ts';

/** Answers a request, or leaves it to the next. */
export type Trick = (
  request: IncomingMessage,
  response: ServerResponse,
  fake: FakeRegistry,
) => boolean | Promise<boolean>;

/** A registry that misbehaves as a test tells it to, and that remembers what it was asked. */
export interface FakeRegistry {
  readonly url: URL;
  readonly blobs: Map<string, Uint8Array>;
  /** `METHOD path`, in order. */
  readonly asked: string[];
  readonly headers: Record<string, string | undefined>[];
  repository(options?: FakeOptions): Repository;
}

export interface FakeOptions {
  readonly retries?: number;
  readonly stall?: number;
  readonly login?: readonly [string, string];
  readonly documents?: Documents;
}

export async function fakeRegistry(test: TestContext, ...tricks: Trick[]): Promise<FakeRegistry> {
  const blobs = new Map<string, Uint8Array>();
  const asked: string[] = [];
  const headers: Record<string, string | undefined>[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    headers.push(request.headers as Record<string, string | undefined>);
    void answer(request, response);
  });
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    for (const trick of tricks) if (await trick(request, response, fake)) return;
    serve(request, response, blobs);
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const url = new URL(`http://127.0.0.1:${port}/`);
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const fake: FakeRegistry = {
    url,
    blobs,
    asked,
    headers,
    repository({ retries = 3, stall = 60_000, login, documents } = {}) {
      const transport = new NodeTransport({ stall });
      test.after(() => transport[Symbol.dispose]());
      const client = new RegistryClient(url.host, url, {
        transport,
        retries,
        pause: 1,
        credentials: async () => login && { username: login[0], password: login[1] },
      });
      return new Repository(client, { repository: 'a/b' }, documents);
    },
  };
  return fake;
}

/** Keeps content and gives its digest. */
export function keep(fake: FakeRegistry, bytes: Uint8Array): string {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  fake.blobs.set(digest, bytes);
  return digest;
}

function serve(
  request: IncomingMessage,
  response: ServerResponse,
  blobs: ReadonlyMap<string, Uint8Array>,
): void {
  const digest = new URL(request.url ?? '', 'http://x').pathname.split('/').at(-1) ?? '';
  const bytes = blobs.get(digest);
  if (bytes === undefined) {
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end('{"errors":[{"code":"UNKNOWN","message":"there is no\\u001b[31m such thing"}]}');
    return;
  }
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Number(range[2]) + 1 : bytes.length;
  response.writeHead(range ? 206 : 200, {
    'content-length': end - start,
    'docker-content-digest': digest,
    ...(range && { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes.subarray(start, end));
}

/** A trick for the first `times` requests whose address has the word. */
export function first(times: number, word: string, trick: Trick): Trick {
  let left = times;
  return async (request, response, fake) => {
    if (left === 0 || !request.url?.includes(word)) return false;
    left--;
    return await trick(request, response, fake);
  };
}

/** Answers every request with this. */
export function status(code: number, headers: Record<string, string> = {}, body = ''): Trick {
  return (_request, response) => {
    response.writeHead(code, headers);
    response.end(body);
    return true;
  };
}
