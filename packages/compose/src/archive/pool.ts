import type { CallOptions } from '@anole/bytes';
import { ByteProgress } from './byte-progress.ts';
import type { Context } from './context.ts';
import { download, type Target } from './download.ts';
import { ArchiveError } from './errors.ts';
import { mirrorsFor } from './mirror.ts';
import { basesOf } from './mirror-list.ts';
import { isPlainPath } from './package-record.ts';
import { together } from './together.ts';
import type { PackageFile, PackagePool } from './types.ts';

const atOnce = 8;

type Fetched = { readonly path: string };

/** Gets package files out of the cache or from the archive that has their suite. */
export class Pool implements PackagePool {
  readonly #context: Context;
  /** Base URIs of suites. */
  readonly #bases: Map<string, readonly string[]>;

  constructor(context: Context, bases: ReadonlyMap<string, readonly string[]> = new Map()) {
    this.#context = context;
    this.#bases = new Map(bases);
  }

  async fetch(file: PackageFile, options: CallOptions = {}): Promise<Fetched> {
    const [fetched] = await this.fetchAll([file], options);
    return fetched!;
  }

  async fetchAll(
    files: readonly PackageFile[],
    options: CallOptions = {},
  ): Promise<readonly Fetched[]> {
    const progress = new ByteProgress('download packages', options.onProgress);
    const reports = files.map(({ size, name }) => progress.add(size, name));
    const fetchOne = async (file: PackageFile, at: number, signal: AbortSignal) => {
      const path = await this.#fetch(file, signal, reports[at]!);
      reports[at]!(file.size);
      return { path };
    };
    return together(files, atOnce, fetchOne, options.signal);
  }

  async #fetch(
    file: PackageFile,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<string> {
    const { store, client, request } = this.#context;
    const found = await store.find(file.sha256, file.size);
    if (found !== undefined) return found;
    if (request.offline) throw offline(file);
    if (!isPlainPath(file.filename)) throw badPath(file);
    const { network } = request;
    const options = { signal, onBytes, ...(network === undefined ? {} : { network }) };
    return download(client, store, await this.#target(file), options);
  }

  async #target(file: PackageFile): Promise<Target> {
    let bases = this.#bases.get(file.suite);
    if (bases === undefined) {
      const mirrors = mirrorsFor(this.#context.mirrors, file.suite);
      bases = (await Promise.all(mirrors.map((mirror) => basesOf(this.#context, mirror)))).flat();
      this.#bases.set(file.suite, bases);
    }
    const uris = bases.map((base) => new URL(encodePath(file.filename), base).href);
    return { uris, size: file.size, sha256: file.sha256 };
  }
}

/** Package names may have `+`, versions `~` and, in old archives, `%3a`: sent as they are stored. */
function encodePath(path: string): string {
  return path.replace(/%/g, '%25');
}

function offline(file: PackageFile): ArchiveError {
  return new ArchiveError(
    'ARCHIVE_OFFLINE',
    `Cannot get ${file.name} ${file.version} offline: the cache does not have it`,
    { hint: 'Run once with the network.' },
  );
}

function badPath(file: PackageFile): ArchiveError {
  const shown = JSON.stringify(file.filename.slice(0, 200));
  return new ArchiveError('ARCHIVE_BAD_CONTROL', `Cannot get ${file.name}: its path is ${shown}`);
}
