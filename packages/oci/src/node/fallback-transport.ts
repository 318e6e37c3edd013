import type { HttpAnswer, HttpRequest, HttpTransport } from '../registry/transport.ts';

/** Milliseconds for which a way that failed is not taken again. */
const REST = 30_000;

/**
 * Reads on a first way, which may be a proxy with a cache of other computers, and on a second one where that
 * fails: it is away, or it could not get what it was asked for.
 */
export class FallbackTransport implements HttpTransport {
  readonly #first: HttpTransport;
  readonly #then: HttpTransport;
  #restUntil = 0;

  constructor(first: HttpTransport, then: HttpTransport) {
    this.#first = first;
    this.#then = then;
  }

  async send(request: HttpRequest): Promise<HttpAnswer> {
    // A cache that is past by is not asked at all (RFC 9111, 5.2.1.4).
    const isCached = request.headers['cache-control'] !== 'no-cache';
    if (isCached && request.method === 'GET' && Date.now() >= this.#restUntil) {
      const answer = await this.#try(request);
      if (answer) return answer;
    }
    return await this.#then.send(request);
  }

  async #try(request: HttpRequest): Promise<HttpAnswer | undefined> {
    try {
      const answer = await this.#first.send(request);
      if (answer.status < 500 && answer.status !== 407) {
        return { ...answer, body: this.#watched(answer.body, request) };
      }
      answer.close();
    } catch {
      request.signal?.throwIfAborted();
    }
    this.#restUntil = Date.now() + REST;
    return undefined;
  }

  /** Who reads on after a failure does so on the other way. */
  async *#watched(
    body: AsyncIterable<Uint8Array>,
    { signal }: HttpRequest,
  ): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      if (!signal?.aborted) this.#restUntil = Date.now() + REST;
      throw error;
    }
  }
}
