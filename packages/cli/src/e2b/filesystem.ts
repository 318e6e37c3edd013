import { randomBytes } from 'node:crypto';
import type { FileEvent, FileInfo, SandboxFiles } from '@anole/sandbox';
import type { Call, Method } from './connect.ts';
import { ApiError, notFound } from './errors.ts';
import { type Json, text } from './http.ts';
import { pathOf, userOf } from './users.ts';

const types: Readonly<Record<string, string>> = {
  file: 'FILE_TYPE_FILE',
  directory: 'FILE_TYPE_DIRECTORY',
  symlink: 'FILE_TYPE_SYMLINK',
};
const kinds: Readonly<Record<FileEvent['kind'], string | undefined>> = {
  create: 'EVENT_TYPE_CREATE',
  write: 'EVENT_TYPE_WRITE',
  remove: 'EVENT_TYPE_REMOVE',
  rename: 'EVENT_TYPE_RENAME',
  attributes: 'EVENT_TYPE_CHMOD',
  overflow: undefined,
};
const letters = { file: '-', directory: 'd', symlink: 'L' } as Readonly<Record<string, string>>;
/** Watches by number that one sandbox may have, and events that each keeps. */
const maxWatchers = 64;
const maxEvents = 1000;

interface Watcher {
  readonly events: Json[];
  readonly stop: AbortController;
}

/** The service `filesystem.Filesystem`. */
export class Filesystem {
  readonly #files: SandboxFiles;
  readonly #watchers = new Map<string, Watcher>();

  readonly methods: Readonly<Record<string, Method>> = {
    Stat: async (call) => {
      const path = await this.#path(call, 'path');
      const { type } = await this.#files.stat(path);
      const info = await this.#files.stat(path, { followSymlinks: type !== 'symlink' });
      return { entry: entryOf(info) };
    },
    MakeDir: async (call) => {
      const path = await this.#path(call, 'path');
      if (await this.#files.exists(path)) {
        throw new ApiError(409, 'already_exists', `${path} is there already`);
      }
      const user = userOf(call.headers.authorization);
      const made = await this.#files.mkdir(path, user === undefined ? {} : { user });
      return { entry: entryOf(made) };
    },
    Move: async (call) => {
      const to = await this.#path(call, 'destination');
      await this.#files.move(await this.#path(call, 'source'), to);
      return { entry: entryOf(await this.#files.stat(to)) };
    },
    Remove: async (call) => {
      await this.#files.remove(await this.#path(call, 'path'));
      return {};
    },
    ListDir: async (call) => {
      const depth = Math.min(Number(call.request['depth'] ?? 1) || 1, 64);
      const entries = await this.#files.list(await this.#path(call, 'path'), { depth });
      return { entries: entries.map(entryOf) };
    },
    WatchDir: (call) => this.#watchDir(call),
    CreateWatcher: async (call) => await this.#createWatcher(call),
    GetWatcherEvents: async ({ request }) => ({
      events: this.#watcher(request).events.splice(0),
    }),
    RemoveWatcher: async ({ request }) => {
      this.#watcher(request).stop.abort();
      this.#watchers.delete(text(request['watcherId'], 'watcher_id'));
      return {};
    },
  };

  constructor(files: SandboxFiles) {
    this.#files = files;
  }

  #path({ request, headers }: Call, field: string): Promise<string> {
    return pathOf(this.#files, text(request[field], field), userOf(headers.authorization));
  }

  async *#watchDir(call: Call): AsyncGenerator<Json> {
    const path = await this.#path(call, 'path');
    const { signal } = call;
    const recursive = call.request['recursive'] === true;
    const events = await this.#files.watch(path, { recursive, signal });
    yield { start: {} };
    for await (const event of events) {
      const told = eventOf(path, event);
      if (told !== undefined) yield { filesystem: told };
    }
    if (signal.aborted) throw signal.reason;
  }

  async #createWatcher(call: Call): Promise<Json> {
    if (this.#watchers.size >= maxWatchers) {
      throw new ApiError(429, 'resource_exhausted', `there are ${maxWatchers} watchers already`);
    }
    const path = await this.#path(call, 'path');
    const stop = new AbortController();
    const recursive = call.request['recursive'] === true;
    const events = await this.#files.watch(path, { recursive, signal: stop.signal });
    const watcher: Watcher = { events: [], stop };
    const watcherId = randomBytes(8).toString('hex');
    this.#watchers.set(watcherId, watcher);
    void (async () => {
      for await (const event of events) {
        const told = eventOf(path, event);
        if (told !== undefined && watcher.events.length < maxEvents) watcher.events.push(told);
      }
    })();
    return { watcherId };
  }

  #watcher(request: Json): Watcher {
    const watcher = this.#watchers.get(text(request['watcherId'], 'watcher_id'));
    if (watcher === undefined) throw notFound('watcher not found');
    return watcher;
  }
}

function eventOf(watched: string, { kind, path }: FileEvent): Json | undefined {
  const type = kinds[kind];
  if (type === undefined) return undefined;
  const above = watched === '/' ? '/' : `${watched}/`;
  return { name: path.startsWith(above) ? path.slice(above.length) : path, type };
}

function entryOf({ name, path, type, size, mode, uid, gid, mtime, target }: FileInfo): Json {
  return {
    name,
    path,
    type: types[type] ?? 'FILE_TYPE_UNSPECIFIED',
    size: String(size),
    mode,
    permissions: (letters[type] ?? '?') + permissions(mode),
    owner: uid === 0 ? 'root' : String(uid),
    group: gid === 0 ? 'root' : String(gid),
    modifiedTime: new Date(mtime).toISOString(),
    ...(target !== undefined && { symlinkTarget: target }),
  };
}

function permissions(mode: number): string {
  return [...'rwxrwxrwx'].map((letter, at) => ((mode >> (8 - at)) & 1 ? letter : '-')).join('');
}
