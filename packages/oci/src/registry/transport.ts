/** One request of HTTP. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
  /** Whether chunks of the answer's body may be written over once the next one is asked for. Default false. */
  readonly lent?: boolean;
}

/** What a server answered. The body must be read to its end, or closed. */
export interface HttpAnswer {
  readonly status: number;
  /** By its name in lower case. */
  header(name: string): string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  close(): void;
}

/**
 * Carries requests, following no redirects. In browsers {@link fetchTransport}; under Node
 * `nodeTransport` of `@anole/oci/node`, which knows certificates and proxies.
 *
 * `send` and the body raise any error where the network fails: the client words it.
 */
export interface HttpTransport {
  /** Whether a chunk of a request's body has been sent when the next one is asked for. */
  readonly takesLent?: boolean;
  send(request: HttpRequest): Promise<HttpAnswer>;
}

/** Over `fetch`. Browsers follow redirects themselves, and leave credentials behind as they must. */
export function fetchTransport(): HttpTransport {
  return {
    async send({ method, url, headers, body, signal }) {
      const init: RequestInit & { duplex?: 'half' } = {
        method,
        headers,
        credentials: 'omit',
        ...(signal && { signal }),
      };
      if (body instanceof Uint8Array) init.body = body as Uint8Array<ArrayBuffer>;
      else if (body !== undefined) {
        init.body = streamOf(body);
        init.duplex = 'half';
      }
      const response = await fetch(url, init);
      const stream = response.body;
      return {
        status: response.status,
        header: (name) => response.headers.get(name) ?? undefined,
        body: stream ?? none(),
        close: () => void stream?.cancel().catch(() => {}),
      };
    },
  };
}

/** `ReadableStream.from`, which not all browsers have. */
function streamOf(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

async function* none(): AsyncGenerator<Uint8Array> {}
