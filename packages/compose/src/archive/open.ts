import { ByteProgress } from './byte-progress.ts';
import { makeContext, type PoolRequest } from './context.ts';
import { type ArchiveCode, ArchiveError } from './errors.ts';
import { shownUri } from './http.ts';
import { listIndexes, loadIndexes } from './indexes.ts';
import { type PackagesFile, parsePackageIndex } from './package-index.ts';
import { Pool } from './pool.ts';
import { openSuite, type Suite } from './suite.ts';
import { together } from './together.ts';
import type {
  Archive,
  ArchiveRequest,
  MissingSuite,
  PackagePool,
  Release,
  SuiteRequest,
} from './types.ts';

/**
 * Opens a package archive: finds the mirror, verifies each suite's InRelease, and reads the indexes
 * of packages.
 *
 * @example
 * const archive = await openArchive({ suites: ['trixie'], components: ['main'], architecture: 'riscv64' });
 * const bash = archive.packages.get('bash');
 *
 * @throws ArchiveError: each of its codes; HostError where the cache cannot be written.
 */
export async function openArchive(request: ArchiveRequest): Promise<Archive> {
  const context = await makeContext(request);
  const progress = new ByteProgress('download package lists', request.onProgress);
  const open = async (
    asked: string | SuiteRequest,
    _at: number,
    signal: AbortSignal,
  ): Promise<OpenedSuite | MissingSuite> => {
    const { name, optional = false } = typeof asked === 'string' ? { name: asked } : asked;
    const own = { ...context, request: { ...context.request, signal } };
    try {
      const suite = await openSuite(own, name, request);
      const indexes = listIndexes(suite, request.components, request.architecture);
      return { suite, files: await loadIndexes(own, indexes, progress) };
    } catch (error) {
      if (!optional || !isAbsence(error)) throw error;
      return { suite: name, reason: error.message };
    }
  };
  const { suites } = request;
  const opened = await together(suites, suites.length, open, request.signal);
  const found = opened.filter((each) => 'files' in each);
  const pool = new Pool(context, new Map(found.map(({ suite }) => [suite.name, suite.bases])));
  return {
    packages: parsePackageIndex(
      found.flatMap(({ files }) => files),
      request.architecture,
    ),
    releases: found.map(({ suite }) => releaseOf(suite)),
    missing: opened.filter((each) => 'reason' in each),
    fetch: (file, options) => pool.fetch(file, options),
    fetchAll: (files, options) => pool.fetchAll(files, options),
  };
}

/**
 * The files of an archive without its indexes: for a lock file, whose hashes are trusted already.
 * Touches no network until a file is fetched that the cache lacks.
 */
export async function openPool(request: PoolRequest): Promise<PackagePool> {
  return new Pool(await makeContext(request));
}

interface OpenedSuite {
  readonly suite: Suite;
  readonly files: readonly PackagesFile[];
}

const absences: readonly ArchiveCode[] = [
  'ARCHIVE_NO_INDEX',
  'ARCHIVE_NO_MIRROR',
  'ARCHIVE_NOT_FOUND',
  'ARCHIVE_OFFLINE',
  'ARCHIVE_UNREACHABLE',
  'ARCHIVE_WRONG_HASH',
];

/**
 * A suite that a mirror lacks, or has only in part, may be done without; one that is forged or of
 * another time must not go unnoticed.
 */
function isAbsence(error: unknown): error is ArchiveError {
  return error instanceof ArchiveError && absences.includes(error.code);
}

function releaseOf({ name, release, signedBy, bases }: Suite): Release {
  return {
    suite: name,
    codename: release.codename,
    version: release.version,
    date: release.date,
    uri: shownUri(bases[0]!),
    signedBy,
  };
}
