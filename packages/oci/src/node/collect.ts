import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReadOptions } from '@anole/bytes';
import { systemCode } from '@anole/host';
import { blobsOf, readManifest } from '../content.ts';
import { OciError } from '../errors.ts';
import type { Descriptor } from '../manifest.ts';
import { isManifestType } from '../media-types.ts';
import type { ImageStore } from './store.ts';

/** What a garbage collection removed, or would have. */
export interface Collected {
  readonly removed: number;
  readonly freed: number;
  readonly kept: number;
}

/** The caller holds the store alone. */
export async function collectGarbage(
  store: ImageStore,
  options: ReadOptions & { readonly dryRun: boolean },
): Promise<Collected> {
  const marked = await mark(store, options);
  let removed = 0;
  let freed = 0;
  let kept = 0;
  for await (const { sha256, path } of contents(store.directory)) {
    options.signal?.throwIfAborted();
    if (marked.has(`sha256:${sha256}`)) {
      kept++;
      continue;
    }
    const size = await sizeOf(path);
    removed++;
    freed += size;
    if (!options.dryRun) await rm(path, { recursive: true, force: true });
  }
  return { removed, freed, kept };
}

/** Digests that names lead to. What is not there (other platforms) leads nowhere. */
async function mark(store: ImageStore, options: ReadOptions): Promise<ReadonlySet<string>> {
  const marked = new Set<string>();
  const todo: Descriptor[] = (await store.list()).map(({ descriptor }) => descriptor);
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    options.signal?.throwIfAborted();
    if (marked.has(next.digest)) continue;
    marked.add(next.digest);
    if (!isManifestType(next.mediaType) || !(await store.has(next))) continue;
    todo.push(...(await store.referrers(next)));
    try {
      const document = await readManifest(store, next, options);
      todo.push(...blobsOf(document));
      if (document.content.kind === 'index') todo.push(...document.content.manifests);
    } catch (error) {
      // Damaged: it leads nowhere, and its name says so when it is used.
      if (!(error instanceof OciError)) throw error;
    }
  }
  return marked;
}

async function* contents(
  directory: string,
): AsyncGenerator<{ readonly sha256: string; readonly path: string }> {
  const base = join(directory, 'content/sha256');
  for (const prefix of await namesIn(base)) {
    for (const rest of await namesIn(join(base, prefix))) {
      yield { sha256: prefix + rest, path: join(base, prefix, rest) };
    }
  }
  // Nobody is downloading while the store is held alone.
  const partial = join(directory, 'content/partial');
  for (const name of await namesIn(partial)) {
    yield { sha256: `partial ${name}`, path: join(partial, name) };
  }
  // Images made of others, and what refers to others, by the digest of those.
  for (const kind of ['erofs', 'referrers']) {
    const derived = join(directory, kind);
    for (const name of await namesIn(derived)) {
      yield { sha256: name.replace(/\..*$/s, ''), path: join(derived, name) };
    }
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found?.size ?? 0;
}
