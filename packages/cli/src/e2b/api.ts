import { availableParallelism } from 'node:os';
import { type Box, type Boxes, envdVersion } from './boxes.ts';
import { ApiError, badRequest, notFound } from './errors.ts';
import { type Json, object, texts } from './http.ts';
import { Snapshots } from './snapshots.ts';

const defaultTimeout = 300; // s
const maxTimeout = 86_400; // s
const maxForks = 100;

/** What a request to the API comes to. */
export interface Result {
  readonly status: number;
  readonly value?: unknown;
}

export interface ApiOptions {
  /** Images by the names of their templates. */
  readonly templates: Readonly<Record<string, string>>;
  /** Directory for snapshots. */
  readonly snapshots: string;
  /** Snapshots that a client may have. */
  readonly maxSnapshots: number;
}

/** The API for sandboxes: of one client, known by its key. */
export class Api {
  readonly #boxes: Boxes;
  readonly #templates: Readonly<Record<string, string>>;

  readonly #snapshots: Snapshots;

  constructor(boxes: Boxes, { templates, snapshots, maxSnapshots }: ApiOptions) {
    this.#boxes = boxes;
    this.#snapshots = new Snapshots(snapshots, maxSnapshots);
    this.#templates = templates;
  }

  async answer(
    owner: string,
    method: string,
    url: URL,
    body: () => Promise<Json>,
  ): Promise<Result> {
    const [, collection, id, verb] = url.pathname.replace(/^\/v2(?=\/)/, '').split('/');
    if (collection === 'snapshots' && method === 'GET' && !id) {
      return { status: 200, value: await this.#snapshots.list(owner, url.searchParams) };
    }
    if (collection === 'templates' && method === 'DELETE' && id) {
      if (await this.#snapshots.remove(owner, decodeURIComponent(id))) return { status: 204 };
      throw notFound(`snapshot ${id} not found`);
    }
    if (collection !== 'sandboxes') throw notFound('not found');
    if (id === undefined || id === '') {
      if (method === 'POST') return await this.#create(owner, await body());
      return { status: 200, value: this.#list(owner, url) };
    }
    if (id === 'metrics') return { status: 200, value: {} };
    const box = this.#boxes.get(owner, id);
    return await this.#act(box, `${method} ${verb ?? ''}`.trim(), await body());
  }

  async #act(box: Box, action: string, body: Json): Promise<Result> {
    switch (action) {
      case 'GET':
        return { status: 200, value: infoOf(box) };
      case 'DELETE':
        await box.kill();
        return { status: 204 };
      case 'POST timeout':
        box.setTimeout(timeoutOf(body));
        return { status: 204 };
      case 'POST refreshes':
        box.setTimeout(timeoutOf({ timeout: body['duration'] }));
        return { status: 204 };
      case 'POST pause':
        if (box.sandbox.state === 'paused') throw new ApiError(409, 'conflict', 'it is paused');
        box.pause();
        return { status: 204 };
      case 'POST connect':
      case 'POST resume': {
        const paused = box.sandbox.state === 'paused';
        const timeout = timeoutOf(body);
        if (paused) box.resume(timeout);
        // Connecting never shortens the life of one that runs.
        else if (Date.now() + timeout > box.endAt.getTime()) box.setTimeout(timeout);
        return { status: paused ? 201 : 200, value: handleOf(box) };
      }
      case 'POST fork':
        return { status: 201, value: await this.#fork(box, body) };
      case 'POST snapshots': {
        const name = body['name'];
        const made = this.#snapshots.create(box, name === undefined ? undefined : String(name));
        return { status: 201, value: await made };
      }
      case 'GET metrics':
        return { status: 200, value: [await metricsOf(box)] };
      default:
        throw new ApiError(404, 'unimplemented', `${action} is not served`);
    }
  }

  async #create(owner: string, body: Json): Promise<Result> {
    const templateId = String(body['templateID'] ?? 'base');
    const options = {
      templateId,
      metadata: texts(body['metadata']),
      env: texts(body['envVars']),
      internet: body['allow_internet_access'] !== false,
      timeout: timeoutOf(body),
      onTimeout: body['autoPause'] === true ? ('pause' as const) : ('kill' as const),
    };
    const image = this.#templates[templateId];
    if (image !== undefined && Object.hasOwn(this.#templates, templateId)) {
      return {
        status: 201,
        value: handleOf(await this.#boxes.create(owner, { ...options, image })),
      };
    }
    const stored = await this.#snapshots.find(owner, templateId);
    if (stored === undefined) throw notFound(`template ${templateId} not found`);
    // What was closed to the one that was saved stays closed.
    const internet = options.internet && stored.options.internet;
    const env = { ...stored.options.env, ...options.env };
    const box = await this.#boxes.restore(owner, stored.path, { ...options, internet, env });
    return { status: 201, value: handleOf(box) };
  }

  async #fork(box: Box, body: Json): Promise<Json[]> {
    const count = Number(body['count'] ?? 1);
    if (!Number.isInteger(count) || count < 1 || count > maxForks) {
      throw badRequest(`${count} copies: 1 to ${maxForks} are possible`);
    }
    const made: Json[] = [];
    for (let index = 0; index < count; index++) {
      made.push({ sandbox: handleOf(await this.#boxes.fork(box, timeoutOf(body))) });
    }
    return made;
  }

  #list(owner: string, url: URL): Json[] {
    const states = url.searchParams.getAll('state').flatMap((state) => state.split(','));
    const wanted = new URLSearchParams(url.searchParams.get('metadata') ?? '');
    const fits = (box: Box) =>
      (states.length === 0 || states.includes(box.sandbox.state)) &&
      [...wanted].every(
        ([name, value]) =>
          box.options.metadata[decodeURIComponent(name)] === decodeURIComponent(value),
      );
    return this.#boxes.of(owner).filter(fits).map(infoOf);
  }
}

function timeoutOf(body: Json): number {
  const seconds = Number(body['timeout'] ?? defaultTimeout);
  if (!(seconds >= 0 && seconds <= maxTimeout)) {
    throw badRequest(`a timeout of ${seconds} s: 0 to ${maxTimeout} are possible`);
  }
  return Math.max(1, seconds * 1000);
}

function handleOf({ id, options, token }: Box): Json {
  return {
    sandboxID: id,
    templateID: options.templateId,
    clientID: 'anole',
    envdVersion,
    envdAccessToken: token,
    domain: null,
  };
}

function infoOf({ id, options, sandbox, startedAt, endAt }: Box): Json {
  return {
    sandboxID: id,
    templateID: options.templateId,
    clientID: 'anole',
    envdVersion,
    metadata: options.metadata,
    startedAt: startedAt.toISOString(),
    endAt: endAt.toISOString(),
    state: sandbox.state,
    cpuCount: 1,
    memoryMB: 512,
    diskSizeMB: 4096,
    allowInternetAccess: options.internet,
    lifecycle: { onTimeout: options.onTimeout, autoResume: false },
  };
}

async function metricsOf({ sandbox }: Box): Promise<Json> {
  const { cpu, uptime, disk, memory } = await sandbox.stats();
  const { total, available } = object(memory) as { total?: number; available?: number };
  return {
    timestamp: new Date().toISOString(),
    timestampUnix: Math.floor(Date.now() / 1000),
    cpuCount: Math.min(1, availableParallelism()),
    cpuUsedPct: Math.min(100, (cpu.used / Math.max(1, uptime)) * 100),
    memTotal: total ?? 0,
    memUsed: (total ?? 0) - (available ?? 0),
    memCache: 0,
    diskUsed: disk.written,
    diskTotal: disk.max,
  };
}
