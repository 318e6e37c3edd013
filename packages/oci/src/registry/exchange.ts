import { cut } from '../digest.ts';
import { OciError } from '../errors.ts';
import type { HttpAnswer, HttpRequest, HttpTransport } from './transport.ts';

const MAX_REDIRECTS = 5;

/**
 * Sends a request and follows redirects. What says who asks goes to the first origin only; nobody
 * is led from https to http.
 *
 * @throws OciError `OCI_REDIRECT`, `OCI_UNREACHABLE`
 */
export async function exchange(
  transport: HttpTransport,
  request: HttpRequest,
): Promise<HttpAnswer> {
  let { url, headers } = request;
  for (let redirects = 0; ; redirects++) {
    const answer = await send(transport, { ...request, url, headers });
    const location = answer.header('location');
    if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) {
      return answer;
    }
    answer.close();
    if (redirects === MAX_REDIRECTS) throw lost(request.url, `over ${MAX_REDIRECTS} redirects`);
    // A stream has been used up; no registry redirects an upload under way.
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw lost(url, `a redirect of a ${request.method}`);
    }
    const next = redirected(url, location);
    if (next.origin !== url.origin) headers = withoutSecrets(headers);
    url = next;
  }
}

async function send(transport: HttpTransport, request: HttpRequest): Promise<HttpAnswer> {
  request.signal?.throwIfAborted();
  try {
    return await transport.send(request);
  } catch (error) {
    request.signal?.throwIfAborted();
    if (error instanceof OciError) throw error;
    throw unreachable(request.url, error);
  }
}

function redirected(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
  const isSafe =
    to?.protocol === 'https:' || (to?.protocol === 'http:' && from.protocol === 'http:');
  if (to === undefined || !isSafe)
    throw lost(from, `a redirect to ${JSON.stringify(cut(location))}`);
  // A name and a password in a URL would be sent by some, and shown by others.
  to.username = '';
  to.password = '';
  return to;
}

function withoutSecrets(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.entries(headers).filter(
    ([name]) => !['authorization', 'cookie'].includes(name.toLowerCase()),
  );
  return Object.fromEntries(kept);
}

function lost(url: URL, what: string): OciError {
  return new OciError('OCI_REDIRECT', `Cannot follow ${shownUrl(url)}: ${what}`, {
    details: { url: shownUrl(url) },
  });
}

/** A URL as messages show it: without what a signed address lets its bearer do. */
export function shownUrl(url: URL): string {
  return `${url.origin}${cut(url.pathname)}`;
}

export function unreachable(url: URL, why: unknown): OciError {
  return new OciError('OCI_UNREACHABLE', `Cannot reach ${shownUrl(url)}: ${reasonOf(why)}`, {
    details: { url: shownUrl(url) },
    ...(why instanceof Error && { cause: why }),
    hint: 'Check the name of the registry, the network and the proxy.',
  });
}

/** Several failed addresses of one host come as an error without message. */
function reasonOf(why: unknown): string {
  if (why instanceof AggregateError && why.errors[0] instanceof Error) return why.errors[0].message;
  return why instanceof Error ? why.message || why.name : String(why);
}
