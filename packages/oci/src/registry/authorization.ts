import type { ReadOptions } from '@anole/bytes';
import { gather } from '../content.ts';
import { OciError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { basicAuthorization, type CredentialProvider, type Credentials } from './credentials.ts';
import { exchange, shownUrl } from './exchange.ts';
import type { HttpRequest, HttpTransport } from './transport.ts';

/** Bytes of a token server's answer. */
const MAX_TOKEN_ANSWER = 1024 * 1024;
/** Seconds a token lasts where the server does not say (distribution, token.md). */
const DEFAULT_LIFE = 60;
/** Milliseconds before its end in which a token is not used any more. */
const MARGIN = 5_000;

interface Token {
  readonly header: string;
  /** Milliseconds since 1970. */
  readonly end: number;
}

/**
 * Shows a registry who asks: with a name and password (basic), or with tokens of its token server
 * (bearer), which are kept for each scope until they end or are refused.
 */
export class Authorization {
  private readonly host: string;
  private readonly transport: HttpTransport;
  private readonly provider: CredentialProvider;
  private readonly tokens = new Map<string, Token>();
  private readonly pending = new Map<string, Promise<string | undefined>>();
  private basic: string | undefined;

  constructor(host: string, transport: HttpTransport, provider: CredentialProvider) {
    this.host = host;
    this.transport = transport;
    this.provider = provider;
  }

  /** The header to send along, as far as it is known without asking. */
  known(scope: string): string | undefined {
    const token = this.tokens.get(scope);
    if (token !== undefined && token.end > Date.now()) return token.header;
    return this.basic;
  }

  /**
   * Answers a refusal: the header to try again with, undefined where there is none. Of several
   * requests that are refused at once, one asks.
   */
  async renew(
    challenge: string | undefined,
    scope: string,
    url: URL,
    options: ReadOptions,
  ): Promise<string | undefined> {
    this.tokens.delete(scope);
    const running = this.pending.get(scope);
    if (running !== undefined) return running;
    const asking = this.ask(parseChallenges(challenge ?? ''), scope, url, options);
    this.pending.set(scope, asking);
    try {
      return await asking;
    } finally {
      this.pending.delete(scope);
    }
  }

  private async ask(
    challenges: readonly Challenge[],
    scope: string,
    url: URL,
    options: ReadOptions,
  ): Promise<string | undefined> {
    const credentials = await this.provider(this.host);
    if (credentials !== undefined && 'registryToken' in credentials) {
      return this.keep(scope, `Bearer ${credentials.registryToken}`, DEFAULT_LIFE);
    }
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer) return this.token(bearer, scope, url, credentials, options);
    const wantsBasic = challenges.some(({ scheme }) => scheme === 'basic');
    if (!wantsBasic || credentials === undefined || !('username' in credentials)) return undefined;
    this.basic = basicAuthorization(credentials.username, credentials.password);
    return this.basic;
  }

  private async token(
    challenge: Challenge,
    scope: string,
    url: URL,
    credentials: Credentials | undefined,
    options: ReadOptions,
  ): Promise<string> {
    const { realm = '', service } = challenge.parameters;
    const server = URL.canParse(realm) ? new URL(realm) : undefined;
    // A registry behind https must not have passwords sent in the clear.
    if (
      server === undefined ||
      (server.protocol !== 'https:' && server.protocol !== url.protocol)
    ) {
      throw new OciError(
        'OCI_BAD_ANSWER',
        `Cannot log in to ${this.host}: it names no token server`,
      );
    }
    const request = tokenRequest(server, service, scope, credentials);
    const answer = await exchange(this.transport, { ...request, ...options });
    if (answer.status !== 200) {
      answer.close();
      throw refused(this.host, server, answer.status);
    }
    const body = await gather(answer.body, MAX_TOKEN_ANSWER);
    const json = parseJson(body, { what: 'the token', code: 'OCI_BAD_ANSWER' });
    const token = json.optionalString('token') ?? json.string('access_token');
    // It becomes a header: no line may be smuggled into it.
    if (!/^[\x21-\x7e]+$/.test(token)) throw json.wrong('token', 'no token');
    const life = json.raw['expires_in'] === undefined ? DEFAULT_LIFE : json.count('expires_in');
    return this.keep(scope, `Bearer ${token}`, Math.max(life, DEFAULT_LIFE));
  }

  private keep(scope: string, header: string, seconds: number): string {
    this.tokens.set(scope, { header, end: Date.now() + seconds * 1000 - MARGIN });
    return header;
  }
}

/** A request for a token: by GET, or with an identity token by OAuth 2 (distribution, oauth.md). */
function tokenRequest(
  server: URL,
  service: string | undefined,
  scope: string,
  credentials: Credentials | undefined,
): HttpRequest {
  const scopes = scope.split(' ').filter((each) => each !== '');
  if (credentials !== undefined && 'identityToken' in credentials) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'anole',
      refresh_token: credentials.identityToken,
      ...(service !== undefined && { service }),
      ...(scope !== '' && { scope }),
    });
    return {
      method: 'POST',
      url: server,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new TextEncoder().encode(form.toString()),
    };
  }
  const url = new URL(server);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const each of scopes) url.searchParams.append('scope', each);
  const isNamed = credentials !== undefined && 'username' in credentials;
  if (isNamed) url.searchParams.set('account', credentials.username);
  const headers = isNamed
    ? { authorization: basicAuthorization(credentials.username, credentials.password) }
    : {};
  return { method: 'GET', url, headers };
}

function refused(host: string, server: URL, status: number): OciError {
  const isRefusal = status === 401 || status === 403;
  return new OciError(
    isRefusal ? 'OCI_UNAUTHORIZED' : 'OCI_BAD_ANSWER',
    `Cannot log in to ${host}: ${shownUrl(server)} answers with status ${status}`,
    {
      details: { host, status },
      hint: isRefusal ? `anole image login ${host}` : 'Try again later.',
    },
  );
}
