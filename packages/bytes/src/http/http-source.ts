import { type CacheOptions, cachedSource } from '../cached-source.ts';
import { checkRange, type Source } from '../source.ts';
import { changed, checkSame, type Part, readPart, type Version, validatorsOf } from './answer.ts';
import { HttpError, shownUrl } from './errors.ts';
import { type Attempts, attempts, waitBefore } from './retry.ts';

export interface HttpSourceOptions extends CacheOptions {
  /** Ends all that is under way, and refuses what is asked later. */
  readonly signal?: AbortSignal;
  /** Sent with each request to the origin of `url`, and to no other. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Attempts for one range that make no progress before it fails. Default 5. */
  readonly attempts?: number;
  /** Milliseconds without a byte after which an attempt is given up. Default 30 000. */
  readonly timeout?: number;
  /** Used in place of the global `fetch`. */
  readonly fetch?: typeof fetch;
}

/** Bytes of the first request: what opening most formats needs. */
const HEAD = 8192;
/** Answers with which a file that moved, or a link that expired, is looked for anew. */
const MOVED = [401, 403, 404, 410];
/** Answers that may be others a little later. */
const PASSING = [408, 425, 429, 500, 502, 503, 504];

/**
 * A file behind HTTP, read by ranges: with a cache, merged requests, and attempts that go on where
 * the last one broke off. All answers must be of one version of the file (entity tag, time, size).
 * Runs wherever there is `fetch`; in a browser the server of another origin must expose
 * `Content-Range` and `ETag`.
 *
 * @throws HttpError, also in later reads; the reason of the signal
 * @example
 * await using source = await httpSource('https://host/image.erofs', { readAhead: 1 << 20 });
 * const tree = await openErofs(source);
 */
export async function httpSource(
  url: string | URL,
  options: HttpSourceOptions = {},
): Promise<Source & AsyncDisposable> {
  const file = await HttpFile.open(String(url), options);
  const source = cachedSource(file, options);
  const close = () => source.close?.();
  return Object.assign(source, { [Symbol.asyncDispose]: async () => close() });
}

/** A file behind HTTP, each read of which is a request. */
class HttpFile implements Source {
  readonly #url: string;
  readonly #options: HttpSourceOptions;
  readonly #stopping = new AbortController();
  readonly #signal: AbortSignal;
  /** Where redirections led the last time. */
  #place: string;
  #version: Version | undefined;
  /** What the first request brought. */
  #head: Uint8Array = new Uint8Array(0);

  private constructor(url: string, options: HttpSourceOptions) {
    this.#url = url;
    this.#place = url;
    this.#options = options;
    const { signal } = options;
    const own = this.#stopping.signal;
    this.#signal = signal ? AbortSignal.any([signal, own]) : own;
  }

  static async open(url: string, options: HttpSourceOptions): Promise<HttpFile> {
    const file = new HttpFile(url, options);
    file.#head = await file.#range(0, HEAD);
    return file;
  }

  get size(): number {
    return this.#version?.size ?? 0;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(offset, length, this.size);
    this.#signal.throwIfAborted();
    if (offset + length <= this.#head.length) return this.#head.subarray(offset, offset + length);
    return await this.#range(offset, length);
  }

  close(): void {
    this.#stopping.abort(
      new HttpError('HTTP_CLOSED', `Cannot read ${shownUrl(this.#url)}: it has been closed`),
    );
  }

  /** Bytes of a range; fewer where the file ends, which only the first request may meet. */
  async #range(offset: number, length: number): Promise<Uint8Array> {
    let wanted = length;
    const out = new Uint8Array(length);
    const state = attempts(this.#options.attempts ?? 5);
    for (let done = 0; done < wanted; ) {
      this.#signal.throwIfAborted();
      try {
        done += await this.#attempt(offset + done, out.subarray(done, wanted), state);
        wanted = Math.min(wanted, this.size - offset);
        if (state.got > 0) state.failed = 0;
        else if (done < wanted) await this.#recover(new Error('an answer is empty'), state);
      } catch (error) {
        done += state.got;
        if (state.got > 0) state.failed = 0;
        await this.#recover(error, state);
      }
    }
    return out.subarray(0, Math.max(0, wanted));
  }

  /** One request; gives the bytes it brought. What it brought before it failed is in `state.got`. */
  async #attempt(start: number, out: Uint8Array, state: Attempts): Promise<number> {
    state.got = 0;
    state.retryAfter = undefined;
    const stall = new AbortController();
    const timeout = this.#options.timeout ?? 30_000;
    const give = () => stall.abort(new Error(`no byte came for ${timeout / 1000} s`));
    let timer = setTimeout(give, timeout);
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(give, timeout);
    };
    try {
      const response = await this.#request(start, out.length, stall.signal);
      state.retryAfter = response.headers.get('retry-after') ?? undefined;
      const part = await this.#accept(response, start);
      if (part === undefined) return 0;
      await this.#fill(response, out.subarray(0, part.end - start), state, alive);
      return state.got;
    } finally {
      clearTimeout(timer);
    }
  }

  async #request(start: number, length: number, stall: AbortSignal): Promise<Response> {
    const isOwn = new URL(this.#place).origin === new URL(this.#url).origin;
    const etag = this.#version?.etag;
    const response = await (this.#options.fetch ?? fetch)(this.#place, {
      headers: {
        ...(isOwn && this.#options.headers),
        range: `bytes=${start}-${start + length - 1}`,
        ...(etag !== undefined && { 'if-range': etag }),
      },
      signal: AbortSignal.any([this.#signal, stall]),
      cache: 'no-store',
    });
    if (this.#url.startsWith('https:') && response.url.startsWith('http:')) {
      await response.body?.cancel();
      throw new HttpError(
        'HTTP_INSECURE',
        `Cannot read ${shownUrl(this.#url)}: it leads to ${shownUrl(response.url)}, unprotected`,
      );
    }
    if (response.url !== '') this.#place = response.url;
    return response;
  }

  /** Checks the head of an answer; undefined where the file is empty. */
  async #accept(response: Response, start: number): Promise<Part | undefined> {
    try {
      if (response.status === 416 && this.#isEmpty(response)) {
        await response.body?.cancel();
        return undefined;
      }
      if (!response.ok) throw this.#refused(response.status);
      const known = this.#version?.etag;
      const isSame = validatorsOf(response.headers).etag === known;
      if (response.status === 200 && known !== undefined && !isSame) {
        throw changed(this.#url, 'the server has another version');
      }
      const part = readPart(response, start, this.#url);
      if (this.#version) checkSame(this.#version, part, this.#url);
      else this.#version = part;
      return part;
    } catch (error) {
      await response.body?.cancel();
      throw error;
    }
  }

  #isEmpty({ headers }: Response): boolean {
    if (this.#version !== undefined || headers.get('content-range') !== 'bytes */0') return false;
    this.#version = { size: 0, etag: undefined, lastModified: undefined };
    return true;
  }

  /** Copies a body; a longer one than its head said is refused. */
  async #fill(
    response: Response,
    out: Uint8Array,
    state: Attempts,
    alive: () => void,
  ): Promise<void> {
    const reader = response.body!.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        alive();
        if (value.length > out.length - state.got) {
          throw new HttpError(
            'HTTP_BAD_ANSWER',
            `Cannot read ${shownUrl(this.#url)}: more bytes come than were asked for`,
          );
        }
        out.set(value, state.got);
        state.got += value.length;
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  }

  /** Waits before another attempt, or raises the error. */
  async #recover(error: unknown, state: Attempts): Promise<void> {
    this.#signal.throwIfAborted();
    if (error instanceof HttpError) {
      const status = Number(error.details['status'] ?? 0);
      const moved = MOVED.includes(status) && this.#place !== this.#url;
      this.#place = this.#url;
      if (moved && !state.moved) {
        state.moved = true;
        return;
      }
      if (!PASSING.includes(status)) throw error;
    }
    if (++state.failed < state.most) return await waitBefore(state, this.#signal);
    if (error instanceof HttpError) throw error;
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HttpError(
      'HTTP_UNREACHABLE',
      `Cannot read ${shownUrl(this.#url)}: ${reason} (${state.failed} attempts)`,
      {
        cause: error,
        details: { url: shownUrl(this.#url) },
        hint: 'is the address right, and the network up?',
      },
    );
  }

  #refused(status: number): HttpError {
    const hints: Readonly<Record<number, string>> = {
      401: 'the server wants credentials',
      403: 'the server wants other credentials, or the link has expired',
      404: 'is the address right?',
      416: 'the file is shorter now than when it was opened: open it again',
    };
    const hint = hints[status];
    return new HttpError(
      'HTTP_STATUS',
      `Cannot read ${shownUrl(this.#url)}: the server answers ${status}`,
      { details: { url: shownUrl(this.#url), status }, ...(hint !== undefined && { hint }) },
    );
  }
}
