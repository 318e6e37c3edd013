import type { ReadOptions } from '@anole/bytes';
import { gather } from '../content.ts';
import { cut } from '../digest.ts';
import { OciError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { Authorization } from './authorization.ts';
import type { CredentialProvider } from './credentials.ts';
import { exchange, shownUrl, unreachable } from './exchange.ts';
import {
  backOff,
  isRefusedConnection,
  isTransient,
  mayPass,
  type Patience,
  parseRetryAfter,
} from './retry.ts';
import type { HttpAnswer, HttpRequest, HttpTransport } from './transport.ts';

export interface ClientOptions extends Patience {
  readonly transport: HttpTransport;
  /** Default: nobody is known, everything is asked for anonymously. */
  readonly credentials?: CredentialProvider;
}

export interface Call extends ReadOptions {
  readonly method: HttpRequest['method'];
  /** Path and query below the registry's root, or an address the registry gave. */
  readonly path: string | URL;
  /** What is wanted, in the words of token servers: `repository:NAME:pull`. */
  readonly scope: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for each attempt. */
  body?(): Uint8Array | AsyncIterable<Uint8Array>;
  /** Statuses that are an answer; others are raised. */
  readonly expect: readonly number[];
  /** Attempts after the first. Default: the client's. */
  readonly retries?: number;
  /** As that of a request. */
  readonly lent?: boolean;
}

const MAX_ERROR = 64 * 1024;
export const DEFAULT_RETRIES = 5;

/**
 * One registry: requests with credentials, again after failures that pass.
 *
 * @throws OciError `OCI_UNREACHABLE`, `OCI_UNAUTHORIZED`, `OCI_FORBIDDEN`, `OCI_NOT_FOUND`,
 * `OCI_RATE_LIMITED`, `OCI_BAD_ANSWER`, `OCI_REDIRECT`
 */
export class RegistryClient {
  /** For credentials and messages. */
  readonly host: string;
  readonly base: URL;
  private readonly options: ClientOptions;
  private readonly authorization: Authorization;
  private wasThere = false;

  constructor(host: string, base: URL, options: ClientOptions) {
    this.host = host;
    this.base = base;
    this.options = options;
    const provider = options.credentials ?? (async () => undefined);
    this.authorization = new Authorization(host, options.transport, provider);
  }

  /** Sends a call. The answer's body must be read or closed. */
  async call(call: Call): Promise<HttpAnswer> {
    const retries = call.retries ?? this.options.retries ?? DEFAULT_RETRIES;
    for (let round = 0; ; round++) {
      let pause: number | undefined;
      try {
        const answer = await this.authorized(call);
        this.wasThere = true;
        if (call.expect.includes(answer.status)) return answer;
        if (!mayPass(answer.status) || round >= retries) throw await this.refused(call, answer);
        answer.close();
        pause = parseRetryAfter(answer.header('retry-after'), Date.now());
      } catch (error) {
        // A registry that was there and refuses connections is being started again.
        const mayCome = isTransient(error) || (this.wasThere && isRefusedConnection(error));
        if (!mayCome || round >= retries) throw error;
      }
      await backOff(round, this.options, pause, call.signal);
    }
  }

  /** A call whose answer is a document of at most `limit` bytes. */
  async document(call: Call, limit: number): Promise<{ answer: HttpAnswer; bytes: Uint8Array }> {
    const retries = this.options.retries ?? DEFAULT_RETRIES;
    for (let round = 0; ; round++) {
      const answer = await this.call(call);
      const claimed = Number(answer.header('content-length') ?? 0);
      if (claimed > limit) {
        answer.close();
        throw new OciError(
          'OCI_TOO_LARGE',
          `Cannot take ${shownUrl(this.urlOf(call))}: it has ${claimed} bytes, at most ${limit} are allowed`,
          { details: { size: claimed, limit } },
        );
      }
      try {
        return { answer, bytes: await gather(this.worded(call, answer.body), limit) };
      } catch (error) {
        if (!isTransient(error) || round >= retries) throw error;
        await backOff(round, this.options, undefined, call.signal);
      }
    }
  }

  /** Waits before something is tried again, at least as long as the server has asked for. */
  pause(round: number, signal: AbortSignal | undefined, retryAfter?: number): Promise<void> {
    return backOff(round, this.options, retryAfter, signal);
  }

  get takesLent(): boolean {
    return this.options.transport.takesLent ?? false;
  }

  get retries(): number {
    return this.options.retries ?? DEFAULT_RETRIES;
  }

  /** An answer's body whose failures are this client's. */
  async *worded(
    call: Pick<Call, 'path' | 'signal'>,
    body: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      call.signal?.throwIfAborted();
      throw error instanceof OciError ? error : unreachable(this.urlOf(call), error);
    }
  }

  private async authorized(call: Call): Promise<HttpAnswer> {
    const isOwn = this.urlOf(call).origin === this.base.origin;
    const known = isOwn ? this.authorization.known(call.scope) : undefined;
    const answer = await this.send(call, known);
    if (answer.status !== 401 || !isOwn) return answer;
    const header = await this.authorization.renew(
      answer.header('www-authenticate'),
      call.scope,
      this.base,
      call.signal ? { signal: call.signal } : {},
    );
    if (header === undefined || header === known) return answer;
    answer.close();
    return this.send(call, header);
  }

  private send(call: Call, authorization: string | undefined): Promise<HttpAnswer> {
    const body = call.body?.();
    return exchange(this.options.transport, {
      method: call.method,
      url: this.urlOf(call),
      headers: {
        'user-agent': 'anole',
        ...call.headers,
        ...(authorization !== undefined && { authorization }),
      },
      ...(body !== undefined && { body }),
      ...(call.signal && { signal: call.signal }),
      ...(call.lent && { lent: true }),
    });
  }

  private urlOf({ path }: Pick<Call, 'path'>): URL {
    return path instanceof URL ? path : new URL(path, this.base);
  }

  private async refused(call: Call, answer: HttpAnswer): Promise<OciError> {
    const { status } = answer;
    const said = await saidBy(answer);
    const url = shownUrl(this.urlOf(call));
    const because = said === '' ? '' : ` (${said})`;
    const retryAfter = parseRetryAfter(answer.header('retry-after'), Date.now());
    const options = { details: { status, url, ...(retryAfter !== undefined && { retryAfter }) } };
    const logIn = `anole image login ${this.host}`;
    switch (status) {
      case 401:
        return new OciError('OCI_UNAUTHORIZED', `Cannot use ${url}: log in first${because}`, {
          ...options,
          hint: logIn,
        });
      case 403:
        return new OciError('OCI_FORBIDDEN', `Cannot use ${url}: it is not allowed${because}`, {
          ...options,
          hint: `Log in as somebody who may: ${logIn}`,
        });
      case 404:
        return new OciError('OCI_NOT_FOUND', `Cannot find ${url}${because}`, {
          ...options,
          hint: 'Check the name and the tag; what is private needs a login.',
        });
      case 429:
        return new OciError('OCI_RATE_LIMITED', `Cannot use ${url}: too many requests${because}`, {
          ...options,
          hint: `Wait, or log in for higher limits: ${logIn}`,
        });
      default:
        return new OciError(
          'OCI_BAD_ANSWER',
          `Cannot use ${url}: the registry answers with status ${status}${because}`,
          options,
        );
    }
  }
}

/** What a registry says about an error (distribution-spec, "Error Codes"), for people. */
async function saidBy(answer: HttpAnswer): Promise<string> {
  try {
    const bytes = await gather(answer.body, MAX_ERROR);
    const json = parseJson(bytes, { what: 'the error', code: 'OCI_BAD_ANSWER' });
    const [first] = json.objects('errors');
    const text = first?.optionalString('message') ?? first?.optionalString('code') ?? '';
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
    return cut(text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' '));
  } catch {
    return '';
  } finally {
    answer.close();
  }
}
