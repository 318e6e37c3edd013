import { OciError } from '../errors.ts';

/** How patient the client is. It is looked at before each pause, so that it may change. */
export interface Patience {
  /** How often a request is made again. Default 5. */
  readonly retries?: number | undefined;
  /** Milliseconds before the first repetition; each next pause is twice as long. Default 250. */
  readonly pause?: number | undefined;
}

const LONGEST_PAUSE = 60_000; // ms

/** Waits before repetition number `round`, at least as long as the server has asked for. */
export async function backOff(
  round: number,
  { pause = 250 }: Patience,
  retryAfter: number | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  // Some chance, so that many clients that failed together do not come back together.
  const own = pause * 2 ** round * (0.75 + Math.random() / 2);
  await sleep(Math.min(Math.max(own, retryAfter ?? 0), LONGEST_PAUSE), signal);
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110, section 10.2.3). */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(date - now, 0);
}

/** True for what may be otherwise the next time. */
export function mayPass(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

/** True for failures of the network that may pass: not for hosts and certificates that are wrong. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof OciError) || error.code !== 'OCI_UNREACHABLE') return false;
  const { cause } = error;
  const first = cause instanceof AggregateError ? cause.errors[0] : cause;
  const code = first instanceof Error && 'code' in first ? String(first.code) : '';
  return !/^(?:ENOTFOUND|ECONNREFUSED)$|CERT|SIGNATURE|ISSUER|ALT_NAME|_SSL_/.test(code);
}

/** True for failures of the network and answers of a server that may be otherwise the next time. */
export function mayPassLater(error: unknown): boolean {
  if (isTransient(error)) return true;
  const status = error instanceof OciError ? error.details['status'] : undefined;
  return typeof status === 'number' && mayPass(status);
}

/** Milliseconds that the server of an error wants one to wait. */
export function retryAfterOf(error: unknown): number | undefined {
  const after = error instanceof OciError ? error.details['retryAfter'] : undefined;
  return typeof after === 'number' ? after : undefined;
}

export function isRefusedConnection(error: unknown): boolean {
  const text = error instanceof OciError ? error.message : '';
  return text.includes('ECONNREFUSED');
}

function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  signal?.throwIfAborted();
  const timer = setTimeout(resolve, milliseconds);
  const onAbort = () => reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  });
}
