import { createReadStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { HostError, type PartialContent } from '@anole/host';
import { decompress } from '../package/decompress.ts';
import { PackageError } from '../package/errors.ts';
import type { ByteProgress } from './byte-progress.ts';
import { type Context, signalOf } from './context.ts';
import { download, type Target } from './download.ts';
import { ArchiveError } from './errors.ts';
import { largestIndex, type PackagesFile } from './package-index.ts';
import type { ReleaseFile } from './release.ts';
import type { Suite } from './suite.ts';
import { together } from './together.ts';

type Compression = 'none' | 'gzip' | 'xz';

/** One `Packages` file of a suite. */
export interface IndexFile {
  readonly suite: Suite;
  /** Path without suffix: `main/binary-riscv64/Packages`. */
  readonly path: string;
  readonly compression: Compression;
  readonly packed: ReleaseFile;
  readonly plain: ReleaseFile;
}

const suffixes: readonly (readonly [string, Compression])[] = [
  ['.xz', 'xz'],
  ['.gz', 'gzip'],
  ['', 'none'],
];

/**
 * The indexes of a suite for the components and the architecture.
 *
 * @throws ArchiveError `ARCHIVE_NO_INDEX`.
 */
export function listIndexes(
  suite: Suite,
  components: readonly string[],
  architecture: string,
): IndexFile[] {
  const { release } = suite;
  const architectures = release.separateAll ? [architecture, 'all'] : [architecture];
  return components.flatMap((component) =>
    architectures.map((each) => {
      const path = `${component}/binary-${each}/Packages`;
      const plain = release.files.get(path);
      for (const [suffix, compression] of suffixes) {
        const packed = release.files.get(`${path}${suffix}`);
        if (packed && plain) return { suite, path, compression, packed, plain };
      }
      throw noIndex(suite, component, each);
    }),
  );
}

/**
 * Reads the indexes, downloading those that the cache lacks. The cache keeps them decompressed,
 * under the hash that the Release file states for them.
 */
export async function loadIndexes(
  context: Context,
  indexes: readonly IndexFile[],
  progress: ByteProgress,
): Promise<PackagesFile[]> {
  const load = async (index: IndexFile, _at: number, signal: AbortSignal) => {
    const detail = `${index.suite.name} ${index.path}`;
    const report = progress.add(index.packed.size, detail);
    const own = { ...context, request: { ...context.request, signal } };
    const path = await loadIndex(own, index, report);
    report(index.packed.size);
    const { name, release } = index.suite;
    return { suite: name, bytes: await readFile(path), notAutomatic: release.notAutomatic };
  };
  return together(indexes, indexes.length, load, context.request.signal);
}

async function loadIndex(
  context: Context,
  index: IndexFile,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const { store, client, request } = context;
  const { packed, plain, suite, path } = index;
  if (plain.size > largestIndex || packed.size > largestIndex) throw tooLarge(suite, path);
  const there = await store.find(plain.sha256, plain.size);
  if (there !== undefined) return there;
  if (request.offline) throw offline(suite, path);
  const options = {
    onBytes,
    ...(request.network === undefined ? {} : { network: request.network }),
    ...signalOf(request),
  };
  const packedPath = await download(client, store, targetOf(index), options);
  if (packed.sha256 === plain.sha256) return packedPath;
  const unpacked = await unpack(context, index, packedPath);
  await rm(packedPath, { force: true });
  return unpacked;
}

async function unpack(context: Context, index: IndexFile, packedPath: string): Promise<string> {
  const { store, request } = context;
  const { plain, compression } = index;
  const fill = async (to: PartialContent) => {
    await to.restart();
    const stream = createReadStream(packedPath);
    for await (const chunk of decompress(stream, compression, plain.size)) {
      request.signal?.throwIfAborted();
      await to.write(chunk);
    }
  };
  const options = { size: plain.size, ...signalOf(request) };
  try {
    return await store.insert(plain.sha256, fill, options);
  } catch (error) {
    const isDamaged = error instanceof PackageError;
    const isOther = error instanceof HostError && error.code === 'HOST_WRONG_CONTENT';
    if (isDamaged || isOther) throw badCompression(index, error);
    throw error;
  }
}

/** By its hash first, where the archive has that: it cannot change while the mirror is updated. */
function targetOf({ suite, path, compression, packed }: IndexFile): Target {
  const suffix = suffixes.find(([, name]) => name === compression)![0];
  const directory = path.slice(0, path.lastIndexOf('/'));
  const names = suite.release.byHash
    ? [`${directory}/by-hash/SHA256/${packed.sha256}`, `${path}${suffix}`]
    : [`${path}${suffix}`];
  const uris = suite.bases.flatMap((base) =>
    names.map((name) => new URL(`dists/${suite.name}/${name}`, base).href),
  );
  return { uris, size: packed.size, sha256: packed.sha256 };
}

function noIndex(suite: Suite, component: string, architecture: string): ArchiveError {
  const { architectures, components } = suite.release;
  return new ArchiveError(
    'ARCHIVE_NO_INDEX',
    `Cannot find packages of ${component} for ${architecture} in ${suite.name}`,
    {
      details: { suite: suite.name, component, architecture, architectures, components },
      hint: `It has the components ${components.join(', ')} for ${architectures.join(', ')}.`,
    },
  );
}

function badCompression({ suite, path }: IndexFile, cause: Error): ArchiveError {
  return new ArchiveError(
    'ARCHIVE_BAD_COMPRESSION',
    `Cannot decompress ${suite.name} ${path} to what its Release file promises`,
    { cause, hint: 'The archive itself is damaged: name another mirror.' },
  );
}

function offline(suite: Suite, path: string): ArchiveError {
  return new ArchiveError('ARCHIVE_OFFLINE', `Cannot use ${suite.name} ${path} offline`, {
    hint: 'Run once with the network, so that the cache has it.',
  });
}

function tooLarge(suite: Suite, path: string): ArchiveError {
  return new ArchiveError(
    'ARCHIVE_TOO_LARGE',
    `Cannot read ${suite.name} ${path}: it has more than ${largestIndex} bytes`,
  );
}
