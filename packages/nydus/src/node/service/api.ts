import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { AnoleError } from '@anole/bytes';
import type { OnDemandReference } from '../on-demand/image.ts';
import type { BackEnds } from './back-ends.ts';
import { metrics } from './metrics.ts';
import type { MountKind } from './mount.ts';
import type { ImageService } from './service.ts';
import { badRequest, type LiveSettings } from './settings.ts';

/** What the service is asked to mount. */
export interface MountRequest {
  readonly image: string;
  readonly directory: string;
  readonly kind?: MountKind;
  readonly platform?: string;
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
 *   milliseconds of silence; null is what holds without one
 * - `GET /v1/logins`, `PUT /v1/logins`: `{ host, username, password }`, before those of files, kept in memory;
 *   `DELETE /v1/logins?host=…`
 * - `GET /metrics` for Prometheus, `GET /healthz`
 */
export function serviceApi(service: ImageService, options: ApiOptions): Server {
  return http().createServer((request, response) => {
    void answer(service, options, request, response);
  });
}

async function answer(
  service: ImageService,
  options: ApiOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const url = new URL(request.url ?? '', 'http://service');
    const done = await route(service, options, request, url);
    if (typeof done === 'string') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(done);
    } else send(response, done === undefined ? 404 : 200, done ?? { error: { code: 'NOT_FOUND' } });
  } catch (error) {
    const known = AnoleError.is(error) ? error : undefined;
    const message = error instanceof Error ? error.message : String(error);
    const { code = 'INTERNAL', hint, details } = known ?? {};
    send(response, known ? 422 : 500, { error: { code, message, hint, details } });
  }
}

async function route(
  service: ImageService,
  { find, settings, backEnds }: ApiOptions,
  request: IncomingMessage,
  url: URL,
): Promise<object | string | undefined> {
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /v1/mounts':
      return service.status();
    case 'POST /v1/mounts': {
      const wanted = mountRequest(await jsonOf(request));
      return await service.mount(await find(wanted), wanted.directory, wanted.kind);
    }
    case 'DELETE /v1/mounts':
      await service.unmount(url.searchParams.get('directory') ?? '');
      return {};
    case 'GET /v1/cache':
      return await service.usage();
    case 'POST /v1/cache/evict':
      return await service.evict(quotaOf(url.searchParams.get('quota')));
    case 'GET /v1/back-ends':
      return { backEnds: backEnds.figures };
    case 'GET /v1/limits':
      return settings.limits;
    case 'PUT /v1/limits': {
      const limits = settings.changeLimits(await jsonOf(request));
      if (limits.quota !== undefined) await service.evict(limits.quota);
      return limits;
    }
    case 'GET /v1/logins':
      return { logins: settings.logins };
    case 'PUT /v1/logins':
      settings.setLogin(await jsonOf(request));
      return {};
    case 'DELETE /v1/logins':
      settings.removeLogin(url.searchParams.get('host') ?? '');
      return {};
    case 'GET /metrics':
      return metrics(service.status(), await service.usage(), backEnds.figures, settings.limits);
    case 'GET /healthz':
      return 'ok\n';
    default:
      return undefined;
  }
}

function quotaOf(text: string | null): number {
  const quota = Number(text ?? Number.NaN);
  if (Number.isSafeInteger(quota) && quota >= 0) return quota;
  throw badRequest('quota is no number of bytes');
}

function mountRequest(value: unknown): MountRequest {
  const { image, directory, kind, platform } = (value ?? {}) as Record<string, unknown>;
  if (typeof image !== 'string' || typeof directory !== 'string') {
    throw badRequest('image and directory must be texts');
  }
  if (kind !== undefined && kind !== 'kernel' && kind !== 'fuse') {
    throw badRequest('kind must be kernel or fuse');
  }
  if (platform !== undefined && typeof platform !== 'string') {
    throw badRequest('platform must be a text');
  }
  return { image, directory, ...(kind && { kind }), ...(platform !== undefined && { platform }) };
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

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
