import { join } from 'node:path';
import type { CallOptions } from '@anole/bytes';
import { ContentStore, cacheDirectory } from '@anole/host';
import type { AptConfiguration } from './apt-configuration.ts';
import { HttpClient } from './http.ts';
import { findMirrors, type Mirrors } from './mirror.ts';
import type { Keyring } from './signature.ts';
import type { ArchiveRequest } from './types.ts';

export type PoolRequest = Omit<ArchiveRequest, 'architecture' | 'components' | 'keyring'>;

/** What the parts of an open archive share. */
export interface Context {
  readonly request: PoolRequest;
  readonly mirrors: Mirrors;
  readonly client: HttpClient;
  readonly store: ContentStore;
  /** Directory for what is not found by its hash. */
  readonly directory: string;
  readonly now: number;
  /** Keys that are sought at most once, for all suites. */
  readonly pinned: { keys?: Promise<Keyring> };
}

export async function makeContext(request: PoolRequest): Promise<Context> {
  const mirrors = await findMirrors(request);
  const environment = request.environment ?? process.env;
  const cache = request.cache ?? cacheDirectory(environment);
  return {
    request,
    mirrors,
    client: new HttpClient(request.network, proxiesOf(mirrors.configuration, environment)),
    store: new ContentStore(cache),
    directory: join(cache, 'archive'),
    now: request.now ?? Date.now(),
    pinned: {},
  };
}

/** The part of a call's options that calls further down take. */
export function signalOf(options: CallOptions): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}

const proxyVariables = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'];

/** apt's configuration goes before the environment, as in apt-transport-http(1). */
function proxiesOf(
  configuration: AptConfiguration,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const proxies: Record<string, string> = {};
  for (const name of proxyVariables) {
    const value = environment[name] ?? environment[name.toUpperCase()];
    if (value) proxies[name] = value;
  }
  const http = configuration.get('Acquire::http::Proxy');
  const https = configuration.get('Acquire::https::Proxy') ?? http;
  if (http !== undefined) proxies['http_proxy'] = http === 'DIRECT' ? '' : http;
  if (https !== undefined) proxies['https_proxy'] = https === 'DIRECT' ? '' : https;
  const direct = [...configuration.below('Acquire::http::Proxy')]
    .filter(([, value]) => value === 'DIRECT')
    .map(([host]) => host);
  if (direct.length > 0) {
    proxies['no_proxy'] = [proxies['no_proxy'], ...direct].filter(Boolean).join(',');
  }
  return proxies;
}
