import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { ContainerdError } from '../errors.ts';
import type { Message } from '../protobuf/message.ts';
import { frameOf, messagesOf } from './frames.ts';
import { percentEncoded, Status, statusOf } from './status.ts';

export interface Call {
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** A method of one request, and one answer or a stream of them. */
export interface Method<Q, A> {
  readonly request: Message<Q>;
  readonly answer: Message<A>;
  serve(request: Q, call: Call): Promise<Partial<A>> | AsyncIterable<Partial<A>>;
}

/** Methods by their paths: `/containerd.services.snapshots.v1.Snapshots/Stat`. */
// The types of a method's messages are its own affair.
export type Methods = Readonly<Record<string, Method<never, never>>>;

export interface GrpcServerOptions {
  /** Told of errors that the answer tells only a part of: those that nobody foresaw. */
  onFault?(path: string, error: unknown): void;
}

/**
 * gRPC over HTTP/2 without TLS, as it is spoken over Unix sockets. The caller lets it listen, and ends
 * it.
 */
export function grpcServer(methods: Methods, options: GrpcServerOptions = {}): Http2Server {
  const server = createServer();
  server.on('stream', (stream, headers) => void serveCall(stream, headers, methods, options));
  return server;
}

async function serveCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  methods: Methods,
  { onFault }: GrpcServerOptions,
): Promise<void> {
  const path = String(headers[':path']);
  const gone = new AbortController();
  stream.on('close', () => gone.abort());
  // A client that goes away is told by 'close'.
  stream.on('error', () => {});
  if (!String(headers['content-type']).startsWith('application/grpc')) {
    stream.respond({ ':status': constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE });
    stream.end();
    return;
  }
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc+proto' },
    { waitForTrailers: true },
  );
  let status: number = Status.ok;
  let why = '';
  stream.on('wantTrailers', () => {
    stream.sendTrailers({ 'grpc-status': String(status), 'grpc-message': percentEncoded(why) });
  });
  try {
    for await (const answer of answersOf(stream, path, methods, gone.signal)) {
      if (!stream.write(frameOf(answer))) await drained(stream);
    }
  } catch (error) {
    status = statusOf(error);
    why = error instanceof Error ? error.message : String(error);
    if (status === Status.unknown && !gone.signal.aborted) onFault?.(path, error);
  }
  // What a client sends on is not looked at.
  stream.resume();
  stream.end();
}

async function* answersOf(
  stream: ServerHttp2Stream,
  path: string,
  methods: Methods,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const method = Object.hasOwn(methods, path) ? methods[path] : undefined;
  if (method === undefined) {
    throw new ContainerdError('CONTAINERD_UNKNOWN_METHOD', `Cannot serve ${path}: it is not known`);
  }
  const { request, answer, serve } = method as unknown as Method<unknown, unknown>;
  let asked: Uint8Array | undefined;
  // Ending early must not destroy the stream: the answer goes over it.
  const incoming = stream.iterator({ destroyOnReturn: false });
  for await (const message of messagesOf(incoming)) asked ??= message;
  if (asked === undefined) {
    throw new ContainerdError('CONTAINERD_BAD_MESSAGE', `Cannot serve ${path}: no request came`);
  }
  const given = serve(request.decode(asked), { signal });
  if (!(Symbol.asyncIterator in given)) yield answer.encode((await given) as Partial<unknown>);
  else for await (const each of given) yield answer.encode(each);
}

/** Until the client has taken what it was sent, or has gone. */
function drained(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
    if (stream.closed) done();
  });
}
