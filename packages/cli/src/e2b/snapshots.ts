import { createHash, randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '@anole/host';
import { Sandbox } from '@anole/sandbox';
import type { Box, BoxOptions } from './boxes.ts';
import { ApiError, badRequest } from './errors.ts';
import { object, texts } from './http.ts';

const extension = '.anole';
const nameShape = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** Of all snapshots: each has one. */
const tag = ':default';

export interface SnapshotInfo {
  readonly snapshotID: string;
  readonly names: readonly string[];
}

/** A snapshot, as a sandbox can be made of it. */
export interface StoredSnapshot {
  readonly path: string;
  readonly options: Omit<BoxOptions, 'timeout' | 'image'>;
}

/** Saved sandboxes of all clients: a directory for each, which outlives the server. */
export class Snapshots {
  readonly #directory: string;
  readonly #most: number;

  /** @param most snapshots that a client may have */
  constructor(directory: string, most: number) {
    this.#directory = directory;
    this.#most = most;
  }

  /** Saves a sandbox, under a name that then leads to it. */
  async create({ owner, id, options, sandbox }: Box, name?: string): Promise<SnapshotInfo> {
    const base = name === undefined ? `s${randomBytes(10).toString('hex')}` : baseOf(name);
    if (!nameShape.test(base)) throw badRequest(`no name for a snapshot: ${name}`);
    const there = await this.#names(owner);
    if (there.length >= this.#most && !there.includes(base)) {
      throw new ApiError(429, 'resource_exhausted', `there are ${this.#most} snapshots already`);
    }
    const { templateId, metadata, env, internet, onTimeout } = options;
    const kept = { templateId, metadata, env, internet, onTimeout };
    const labels = { 'e2b.sandbox': id, 'e2b.options': JSON.stringify(kept) };
    await sandbox.snapshot(this.#path(owner, base), { labels });
    return infoOf(base);
  }

  async list(owner: string, query: URLSearchParams): Promise<readonly SnapshotInfo[]> {
    const wanted = query.get('name');
    const from = query.get('sandboxID');
    const found: SnapshotInfo[] = [];
    for (const base of (await this.#names(owner)).sort()) {
      if (wanted !== null && base !== baseOf(wanted)) continue;
      if (from !== null && (await this.#labels(owner, base))['e2b.sandbox'] !== from) continue;
      found.push(infoOf(base));
    }
    return found;
  }

  /** The one that a template's name leads to. */
  async find(owner: string, template: string): Promise<StoredSnapshot | undefined> {
    const base = baseOf(template);
    if (!(await this.#names(owner)).includes(base)) return undefined;
    const stored = object(JSON.parse((await this.#labels(owner, base))['e2b.options'] ?? '{}'));
    const options = {
      templateId: String(stored['templateId'] ?? template),
      metadata: texts(stored['metadata']),
      env: texts(stored['env']),
      internet: stored['internet'] === true,
      onTimeout: stored['onTimeout'] === 'pause' ? ('pause' as const) : ('kill' as const),
    };
    return { path: this.#path(owner, base), options };
  }

  /** False where there is none. */
  async remove(owner: string, template: string): Promise<boolean> {
    const base = baseOf(template);
    if (!(await this.#names(owner)).includes(base)) return false;
    await rm(this.#path(owner, base), { force: true });
    return true;
  }

  async #labels(owner: string, base: string): Promise<Readonly<Record<string, string>>> {
    return (await Sandbox.inspect(this.#path(owner, base))).labels;
  }

  async #names(owner: string): Promise<string[]> {
    try {
      const files = await readdir(this.#of(owner));
      return files
        .filter((file) => file.endsWith(extension) && nameShape.test(file))
        .map((file) => file.slice(0, -extension.length));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  #path(owner: string, base: string): string {
    return join(this.#of(owner), `${base}${extension}`);
  }

  /** Keys are secrets: their hashes name the directories. */
  #of(owner: string): string {
    return join(this.#directory, createHash('sha256').update(owner).digest('hex').slice(0, 32));
  }
}

function baseOf(name: string): string {
  return name.endsWith(tag) ? name.slice(0, -tag.length) : name;
}

function infoOf(base: string): SnapshotInfo {
  return { snapshotID: `${base}${tag}`, names: [`${base}${tag}`] };
}
