import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AnoleError, memorySource } from '@anole/bytes';
import { writeFileAtomically } from '@anole/host';
import { openDeb, readData } from '../package/deb.ts';
import { ByteProgress } from './byte-progress.ts';
import { type Context, signalOf } from './context.ts';
import { download } from './download.ts';
import { ArchiveError } from './errors.ts';
import { listIndexes, loadIndexes } from './indexes.ts';
import { readKeyring } from './keyring.ts';
import { mirrorsFor } from './mirror.ts';
import { basesOf } from './mirror-list.ts';
import { parsePackageIndex } from './package-index.ts';
import { pinnedKeys } from './pinned-keys.ts';
import { parseRelease } from './release.ts';
import { type Keyring, largestRelease, unverifiedText } from './signature.ts';
import { fetchSmallFile } from './small-file.ts';

const packageName = 'debian-archive-keyring';
const keyringPath = /^usr\/share\/keyrings\/debian-archive-keyring\.(?:pgp|gpg)$/;
const largestKeyring = 4 << 20;
const largestPackage = 16 << 20;

/**
 * The keys of Debian's archive on a machine that does not have them: taken, without trust, from the
 * archive's own package debian-archive-keyring, and kept only where a fingerprint is pinned. See
 * docs/decisions/0052-keys-of-the-archive.md.
 *
 * @throws ArchiveError `ARCHIVE_NO_KEYRING` where that fails.
 */
export async function bootstrapKeyring(
  context: Context,
  suite: string,
  architecture: string,
  pinned: ReadonlyMap<string, string> = pinnedKeys,
): Promise<Keyring> {
  const kept = join(context.directory, 'debian-archive-keyring.pgp');
  const isPinned = (key: Keyring[number]) => pinned.has(key.getFingerprint().toUpperCase());
  const old = await readFile(kept).catch(() => undefined);
  if (old !== undefined) {
    const keys = await readKeyring(old, kept).catch(() => []);
    if (keys.some(isPinned)) return keys.filter(isPinned);
  }
  let data: Uint8Array;
  try {
    data = await fetchKeyring(context, suite, architecture);
  } catch (cause) {
    if (!AnoleError.is(cause) || context.request.signal?.aborted) throw cause;
    throw noKeyring(cause);
  }
  const keys = (await readKeyring(data, `package ${packageName}`)).filter(isPinned);
  if (keys.length === 0) throw noKeyring(undefined);
  await writeFileAtomically(kept, data);
  return keys;
}

/** Nothing on this way is trusted: each step bounds what it reads. */
async function fetchKeyring(
  context: Context,
  suite: string,
  architecture: string,
): Promise<Uint8Array> {
  const { client, store, request } = context;
  const main = suite.replace(/-(?:security|updates|proposed-updates|backports.*)$/, '');
  const [mirror] = mirrorsFor(context.mirrors, main);
  const bases = await basesOf(context, mirror!);
  const network = request.network === undefined ? {} : { network: request.network };
  const options = { ...network, ...signalOf(request) };
  const uri = new URL(`dists/${main}/InRelease`, bases[0]).href;
  const { bytes } = await fetchSmallFile(client, uri, { ...options, limit: largestRelease });
  const text = await unverifiedText(new TextDecoder().decode(bytes), uri);
  const release = parseRelease(text, uri);
  const untrusted = { name: main, release, signedBy: [], bases };
  const indexes = listIndexes(untrusted, ['main'], architecture);
  const progress = new ByteProgress('download the keys of the archive', request.onProgress);
  const files = await loadIndexes(context, indexes, progress);
  const record = parsePackageIndex(files, architecture).get(packageName);
  if (record === undefined || record.size > largestPackage) throw noKeyring(undefined);
  const uris = bases.map((base) => new URL(record.filename, base).href);
  const { size, sha256 } = record;
  const path = await download(client, store, { uris, size, sha256 }, options);
  return extract(await readFile(path));
}

async function extract(bytes: Uint8Array): Promise<Uint8Array> {
  const deb = await openDeb(memorySource(bytes));
  for await (const entry of readData(deb, largestPackage)) {
    if (entry.type !== 'file' || !keyringPath.test(entry.path)) continue;
    if (entry.size > largestKeyring) break;
    return (await entry.storedBytes()).slice();
  }
  throw noKeyring(undefined);
}

function noKeyring(cause: unknown): ArchiveError {
  return new ArchiveError(
    'ARCHIVE_NO_KEYRING',
    'Cannot find the public keys of the archive: neither on this machine nor in the archive',
    {
      ...(cause === undefined ? {} : { cause }),
      hint: "Install debian-archive-keyring, or give the archive's public keys with --keyring.",
    },
  );
}
