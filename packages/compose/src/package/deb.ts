import { decodeName, flow, type Source } from '@anole/bytes';
import { readTar, type TarEntry } from '@anole/vfs';
import { type ArMember, readArMembers } from './ar.ts';
import { compressionOf, decompress, streamRange } from './decompress.ts';
import { PackageError } from './errors.ts';

/** A package file whose members were found. Nothing of it was unpacked yet. */
export interface Deb {
  readonly source: Source;
  readonly control: ArMember;
  readonly data: ArMember;
}

/** Control members are texts of some kilobytes; the largest (md5sums, templates) take a few MiB. */
const CONTROL_LIMIT = 64 * 1024 * 1024;
/** Default bound on the files of one package, unpacked. */
const DATA_LIMIT = 32 * 1024 * 1024 * 1024;

/**
 * Opens a package file. deb(5): the members debian-binary, control.tar and data.tar in this order;
 * others are passed over where their names begin with an underscore.
 *
 * @throws PackageError `DEB_BAD_ARCHIVE`, `DEB_BAD_VERSION`, `DEB_NO_MEMBER`
 */
export async function openDeb(source: Source): Promise<Deb> {
  const all = await flow(() => readArMembers(source));
  const [version, control, data] = all.filter((member) => !member.name.startsWith('_'));
  if (version?.name !== 'debian-binary') throw missing('debian-binary');
  const stated = decodeName(await source.read(version.offset, Math.min(version.size, 16)));
  if (!/^2\.\d+\n/.test(stated)) {
    throw new PackageError(
      'DEB_BAD_VERSION',
      `Cannot read the package: its format version is ${JSON.stringify(stated)}, not 2.x`,
    );
  }
  if (!control?.name.startsWith('control.tar')) throw missing('control.tar');
  if (!data?.name.startsWith('data.tar')) throw missing('data.tar');
  return { source, control, data };
}

/**
 * The control member's files by name: `control`, `conffiles`, `md5sums`, `triggers`, the maintainer
 * scripts and what else there is. Texts are by `decodeName`, which keeps any bytes.
 *
 * @throws PackageError `DEB_BAD_CONTROL` and what `decompress` throws; TarError
 */
export async function readControl(deb: Deb): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for await (const entry of members(deb, deb.control, CONTROL_LIMIT)) {
    if (entry.type !== 'file') continue;
    if (entry.path.includes('/')) continue;
    files.set(entry.path, decodeName(await entry.storedBytes()));
  }
  if (!files.has('control')) {
    throw new PackageError('DEB_BAD_CONTROL', 'Cannot read the package: it has no control file');
  }
  return files;
}

/**
 * The package's files in the order of data.tar. Read the stream to its end or leave it before
 * another of the same thread is opened: see `decompress`.
 *
 * @param limit bytes, unpacked, at most
 */
export function readData(deb: Deb, limit = DATA_LIMIT): AsyncGenerator<TarEntry> {
  return members(deb, deb.data, limit);
}

function members(deb: Deb, member: ArMember, limit: number): AsyncGenerator<TarEntry> {
  const stored = streamRange(deb.source, member.offset, member.size);
  return readTar(decompress(stored, compressionOf(member.name), limit));
}

function missing(member: string): PackageError {
  return new PackageError(
    'DEB_NO_MEMBER',
    `Cannot read the package: it has no ${member} in its place`,
    {
      details: { member },
      hint: 'The file is damaged or no .deb; fetch it again.',
    },
  );
}
