import type { HttpAnswer, HttpRequest, HttpTransport } from '../../registry/transport.ts';
import { type S3Keys, signS3 } from './sign.ts';

export interface S3TransportOptions {
  readonly transport: HttpTransport;
  /** Of the service: nothing is signed for others, to which it may lead. */
  readonly origin: string;
  readonly region: string;
  /** Asked again when the service refuses those it gave. */
  keys(): Promise<S3Keys | undefined>;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Signs what is read of a bucket. Keys that have expired in the meantime are looked up anew. */
export class S3Transport implements HttpTransport {
  readonly #options: S3TransportOptions;
  #keys: Promise<S3Keys | undefined> | undefined;

  constructor(options: S3TransportOptions) {
    this.#options = options;
  }

  async send(request: HttpRequest): Promise<HttpAnswer> {
    const { transport, origin } = this.#options;
    if (request.url.origin !== origin) return await transport.send(request);
    const keys = await this.#known();
    const answer = await transport.send(this.#signed(request, keys));
    // ExpiredToken is a bad request, InvalidAccessKeyId is forbidden.
    if (answer.status !== 403 && answer.status !== 400) return answer;
    this.#keys = undefined;
    const renewed = await this.#known();
    if (renewed === undefined || isSame(renewed, keys)) return answer;
    answer.close();
    return await transport.send(this.#signed(request, renewed));
  }

  #known(): Promise<S3Keys | undefined> {
    this.#keys ??= this.#options.keys();
    this.#keys.catch(() => {
      this.#keys = undefined;
    });
    return this.#keys;
  }

  #signed(request: HttpRequest, keys: S3Keys | undefined): HttpRequest {
    if (keys === undefined) return request;
    const { region, now = Date.now } = this.#options;
    return { ...request, headers: signS3(request, keys, region, now()) };
  }
}

function isSame(one: S3Keys, other: S3Keys | undefined): boolean {
  return one.accessKey === other?.accessKey && one.token === other.token;
}
