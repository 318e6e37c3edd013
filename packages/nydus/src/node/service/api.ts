import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { AnoleError } from '@anole/bytes';
import { type PullPolicy, pullPolicies } from '@anole/oci/node';
import type { OnDemandReference } from '../on-demand/image.ts';
import type { BackEnds } from './back-ends.ts';
import { troubles } from './health.ts';
import { metrics } from './metrics.ts';

import type { MountWish } from './mount.ts';
import type { ImageService } from './service.ts';
import { badRequest, type LiveSettings } from './settings.ts';

/** What the service is asked to mount. */
export interface MountRequest extends MountWish {
  readonly image: string;
  readonly directory: string;
  readonly platform?: string;
  /** When a registry is asked what the image's tag stands for. Default `always`. */
  readonly pull?: PullPolicy;
}

export interface ApiOptions {
  find(request: MountRequest): Promise<OnDemandReference>;
  readonly settings: LiveSettings;
  readonly backEnds: BackEnds;
}

/** Bytes of a request at most. */
const MAX_BODY = 64 * 1024;

/** HTTP of Node, without what an import of all its names costs. */
const http = () => process.getBuiltinModule('node:http');

/**
 * The service's interface: HTTP and JSON, meant for a Unix socket that only its user can open.
 *
 * - `GET /v1/mounts`, `POST /v1/mounts` ({@link MountRequest}), `DELETE /v1/mounts?directory=…`
 * - `GET /v1/cache`, `POST /v1/cache/evict?quota=BYTES`
 * - `GET /v1/back-ends`: what was asked of each registry, and what failed
 * - `GET /v1/limits`, `PUT /v1/limits`: `{ quota, rate, retries, stall }`, in bytes, bytes a second, times and
 *   milliseconds of silence. Both answer what holds, where null is no bound; to set null goes back to what holds
 *   without being told
 * - `GET /v1/logins`, `PUT /v1/logins`: `{ host, username, password }`, before those of files, kept in memory;
 *   `DELETE /v1/logins?host=…`
 * - `GET /metrics` for Prometheus
 * - `GET /healthz`: 200 and `ok`, or 503 and why readers wait or get errors, a reason a line ({@link troubles}). A new
 *   start of the service helps against none of them
 */
export function serviceApi(service: ImageService, options: ApiOptions): Server {
  const routes = routesOf(service, options);
  return http().createServer((request, response) => void answer(routes, request, response));
}

interface Asked {
  readonly request: IncomingMessage;
  readonly url: URL;
  /** Aborted where the client goes before it has its answer. */
  readonly signal: AbortSignal;
}

interface Answer {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text, or what becomes JSON. */
  readonly body: string | object;
}

type Handler = (asked: Asked) => Promise<Answer> | Answer;
/** By path and method. */
type Routes = Readonly<Record<string, Readonly<Record<string, Handler>>>>;

async function answer(
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  const done = await route(routes, request, gone.signal).catch(failed);
  const { status = 200, headers, body } = done;
  const isText = typeof body === 'string';
  const type = isText ? 'text/plain; version=0.0.4' : 'application/json';
  response
    .writeHead(status, { 'content-type': type, ...headers })
    .end(isText ? body : JSON.stringify(body));
}

function failed(error: unknown): Answer {
  const known = AnoleError.is(error) ? error : undefined;
  const message = error instanceof Error ? error.message : String(error);
  const { code = 'INTERNAL', hint, details } = known ?? {};
  return { status: known ? 422 : 500, body: { error: { code, message, hint, details } } };
}

async function route(
  routes: Routes,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<Answer> {
  const { url: target = '', method = '' } = request;
  const url = target.startsWith('/') ? URL.parse(`http://service${target}`) : null;
  if (url === null) return { status: 400, body: { error: { code: 'BAD_REQUEST' } } };
  const methods = Object.hasOwn(routes, url.pathname) ? routes[url.pathname] : undefined;
  if (methods === undefined) return { status: 404, body: { error: { code: 'NOT_FOUND' } } };
  const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (handler) return await handler({ request, url, signal });
  const allow = Object.keys(methods).join(', ');
  return { status: 405, headers: { allow }, body: { error: { code: 'NOT_ALLOWED' } } };
}

function routesOf(service: ImageService, { find, settings, backEnds }: ApiOptions): Routes {
  return {
    '/v1/mounts': {
      GET: () => ({ body: service.status() }),
      async POST({ request, signal }) {
        const wanted = mountRequest(await jsonOf(request));
        const image = await find(wanted);
        return { body: await service.mount(image, wanted.directory, wishOf(wanted), { signal }) };
      },
      async DELETE({ url }) {
        await service.unmount(url.searchParams.get('directory') ?? '');
        return { body: {} };
      },
    },
    '/v1/cache': {
      GET: async () => ({ body: await service.usage() }),
    },
    '/v1/cache/evict': {
      POST: async ({ url }) => ({
        body: await service.evict(quotaOf(url.searchParams.get('quota'))),
      }),
    },
    '/v1/back-ends': {
      GET: () => ({ body: { backEnds: backEnds.figures } }),
    },
    '/v1/limits': {
      GET: () => ({ body: settings.holding }),
      async PUT({ request }) {
        const { quota } = settings.changeLimits(await jsonOf(request));
        if (quota !== undefined) await service.evict(quota);
        return { body: settings.holding };
      },
    },
    '/v1/logins': {
      GET: () => ({ body: { logins: settings.logins } }),
      async PUT({ request }) {
        settings.setLogin(await jsonOf(request));
        return { body: {} };
      },
      DELETE({ url }) {
        settings.removeLogin(url.searchParams.get('host') ?? '');
        return { body: {} };
      },
    },
    '/metrics': {
      GET: async () => ({
        body: metrics(service.status(), await service.usage(), backEnds.figures, settings.limits),
      }),
    },
    '/healthz': {
      async GET() {
        const found = await troubles(service.cache.directory, backEnds.figures);
        if (found.length === 0) return { body: 'ok\n' };
        return { status: 503, body: `${found.join('\n')}\n` };
      },
    },
  };
}

function quotaOf(text: string | null): number {
  const quota = Number(text ?? Number.NaN);
  if (Number.isSafeInteger(quota) && quota >= 0) return quota;
  throw badRequest('quota is no number of bytes');
}

function mountRequest(value: unknown): MountRequest {
  const { image, directory, kind, platform, pull, suid, dev } = Object(value) as Record<
    string,
    unknown
  >;
  if (typeof image !== 'string' || typeof directory !== 'string') {
    throw badRequest('image and directory must be texts');
  }
  if (kind !== undefined && kind !== 'kernel' && kind !== 'fuse') {
    throw badRequest('kind must be kernel or fuse');
  }
  if (platform !== undefined && typeof platform !== 'string') {
    throw badRequest('platform must be a text');
  }
  if (pull !== undefined && !isPolicy(pull)) {
    throw badRequest(`pull must be ${pullPolicies.join(', ')}`);
  }
  if (!isSwitch(suid) || !isSwitch(dev)) throw badRequest('suid and dev must be true or false');
  return {
    image,
    directory,
    ...(kind && { kind }),
    ...(platform !== undefined && { platform }),
    ...(pull && { pull }),
    ...(suid && { suid }),
    ...(dev && { dev }),
  };
}

function isPolicy(value: unknown): value is PullPolicy {
  return pullPolicies.some((each) => each === value);
}

function isSwitch(value: unknown): value is boolean | undefined {
  return value === undefined || typeof value === 'boolean';
}

function wishOf({ kind, suid, dev }: MountRequest): MountWish {
  return { ...(kind && { kind }), ...(suid && { suid }), ...(dev && { dev }) };
}

async function jsonOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  request.setEncoding('utf8');
  for await (const piece of request) {
    text += piece;
    if (text.length > MAX_BODY) throw badRequest('the request is too long');
  }
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest('the request is no JSON');
  }
}
