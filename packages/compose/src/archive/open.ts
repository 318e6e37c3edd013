import { ArchiveError } from './errors.ts';
import type { Archive, ArchiveRequest, PackagePool } from './types.ts';

/**
 * Opens a package archive: finds the mirror, verifies each suite's InRelease, and reads the indexes
 * of packages.
 *
 * @example
 * const archive = await openArchive({ suites: ['trixie'], components: ['main'], architecture: 'riscv64' });
 * const bash = archive.packages.get('bash');
 */
export async function openArchive(request: ArchiveRequest): Promise<Archive> {
  throw new ArchiveError('ARCHIVE_NO_MIRROR', `Cannot open ${request.suites.length} suites yet`);
}

/**
 * The files of an archive without its indexes: for a lock file, whose hashes are trusted already.
 * Touches no network until a file is fetched that the cache lacks.
 */
export async function openPool(
  request: Omit<ArchiveRequest, 'architecture' | 'components' | 'keyring'>,
): Promise<PackagePool> {
  throw new ArchiveError('ARCHIVE_NO_MIRROR', `Cannot open ${request.suites.length} suites yet`);
}
