import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import type { CallOptions } from '@anole/bytes';
import { ContainerdError } from '../errors.ts';
import type { Message } from '../protobuf/message.ts';
import { frameOf, messagesOf } from './frames.ts';
import { percentDecoded, Status } from './status.ts';

/** A method as a client knows it. */
export interface RemoteMethod<Q, A> {
  readonly path: string;
  readonly request: Message<Q>;
  readonly answer: Message<A>;
}

type Signal = Pick<CallOptions, 'signal'>;

/** Calls methods over a Unix socket. */
export class GrpcClient implements Disposable {
  readonly #socket: string;
  readonly #headers: Readonly<Record<string, string>>;
  #session: ClientHttp2Session | undefined;

  /** @param headers sent with each call: containerd wants `containerd-namespace` */
  constructor(socket: string, headers: Readonly<Record<string, string>> = {}) {
    this.#socket = socket;
    this.#headers = headers;
  }

  /**
   * One request, one answer.
   *
   * @throws ContainerdError `CONTAINERD_UNAVAILABLE`; `CONTAINERD_NOT_FOUND`, `CONTAINERD_EXISTS` and
   *   `CONTAINERD_CALL` as the other end says
   */
  async call<Q, A>(
    method: RemoteMethod<Q, A>,
    request: Partial<Q>,
    options: Signal & { readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<A> {
    for await (const answer of this.stream(method, [request], options)) return answer;
    throw failure(Status.internal, 'no answer came', method.path);
  }

  /** Requests as they come, and the answers as they come. @throws as {@link call} */
  async *stream<Q, A>(
    { path, request, answer }: RemoteMethod<Q, A>,
    requests: Iterable<Partial<Q>> | AsyncIterable<Partial<Q>>,
    { signal, headers }: Signal & { readonly headers?: Readonly<Record<string, string>> } = {},
  ): AsyncGenerator<A> {
    const stream = this.#open().request({
      ...this.#headers,
      ...headers,
      ':method': 'POST',
      ':path': path,
      te: 'trailers',
      'content-type': 'application/grpc+proto',
    });
    const end = ending(stream, path, this.#socket);
    // It is waited for where the stream ends; that may be never.
    end.catch(() => {});
    const unsent: { error?: unknown } = {};
    const sending = send(stream, requests, request).catch((error: unknown) => {
      unsent.error = error;
      stream.close();
    });
    const abort = () => stream.close();
    signal?.addEventListener('abort', abort);
    try {
      for await (const bytes of messagesOf(stream)) yield answer.decode(bytes);
    } catch (error) {
      // Why the connection broke is known better elsewhere.
      await end.catch((broken: unknown) => {
        throw unsent.error ?? broken;
      });
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      stream.close();
    }
    signal?.throwIfAborted();
    await end.catch((broken: unknown) => {
      throw unsent.error ?? broken;
    });
    await sending;
    if (unsent.error) throw unsent.error;
  }

  #open(): ClientHttp2Session {
    if (this.#session === undefined || this.#session.closed || this.#session.destroyed) {
      const session = connect('http://localhost', {
        createConnection: () => connectSocket(this.#socket),
      });
      // Each call reports it.
      session.on('error', () => {});
      this.#session = session;
    }
    return this.#session;
  }

  [Symbol.dispose](): void {
    this.#session?.close();
  }
}

async function send<Q>(
  stream: ClientHttp2Stream,
  requests: Iterable<Partial<Q>> | AsyncIterable<Partial<Q>>,
  type: Message<Q>,
): Promise<void> {
  for await (const each of requests) {
    if (stream.closed) return;
    await new Promise<void>((resolve) => {
      // An error is told by the stream's end.
      stream.write(frameOf(type.encode(each)), () => resolve());
    });
  }
  stream.end();
}

/** Resolves where the call ended well. */
function ending(stream: ClientHttp2Stream, path: string, socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let headers: Readonly<Record<string, unknown>> = {};
    stream.on('response', (each) => {
      headers = { ...headers, ...each };
    });
    stream.on('trailers', (each) => {
      headers = { ...headers, ...each };
    });
    let broken: Error | undefined;
    stream.on('error', (error) => {
      broken = error;
    });
    stream.on('close', () => {
      const status = headers['grpc-status'];
      const why = percentDecoded(String(headers['grpc-message'] ?? ''));
      if (status === '0') resolve();
      else if (status !== undefined) reject(failure(Number(status), why, path));
      else {
        reject(
          new ContainerdError(
            'CONTAINERD_UNAVAILABLE',
            `Cannot call ${socket}: ${broken?.message ?? 'it hung up'}`,
            {
              ...(broken && { cause: broken }),
              hint: 'Is containerd running? Say where: --address.',
            },
          ),
        );
      }
    });
  });
}

const codes: Readonly<Record<number, 'CONTAINERD_NOT_FOUND' | 'CONTAINERD_EXISTS'>> = {
  [Status.notFound]: 'CONTAINERD_NOT_FOUND',
  [Status.alreadyExists]: 'CONTAINERD_EXISTS',
};

function failure(status: number, why: string, path: string): ContainerdError {
  const method = path.slice(path.lastIndexOf('.') + 1);
  const code = codes[status] ?? 'CONTAINERD_CALL';
  return new ContainerdError(code, `Cannot do ${method}: ${why}`, { details: { status, path } });
}
