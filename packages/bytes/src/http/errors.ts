import { AnoleError, type ErrorOptions } from '../errors.ts';

export type HttpCode =
  /** No answer after all attempts: no such host, no connection, or it broke off each time. */
  | 'HTTP_UNREACHABLE'
  /** An answer that says no: `details.status`. */
  | 'HTTP_STATUS'
  /** A server that gives files whole only. */
  | 'HTTP_NO_RANGES'
  /** A file that is another one than when it was opened. */
  | 'HTTP_CHANGED'
  /** An answer that is not to the question: another range, too many bytes, an encoding. */
  | 'HTTP_BAD_ANSWER'
  /** A redirection from https to http. */
  | 'HTTP_INSECURE'
  /** A Source that is read after it was closed. */
  | 'HTTP_CLOSED';

/** Raised by {@link ./http-source.ts}; `details.url` is the file it is about, without a query. */
export class HttpError extends AnoleError {
  declare readonly code: HttpCode;
  // Narrows the code's type.
  constructor(code: HttpCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** A URL for people: without what may be secret. */
export function shownUrl(url: string): string {
  try {
    const { origin, pathname } = new URL(url);
    return origin + pathname;
  } catch {
    return url;
  }
}
