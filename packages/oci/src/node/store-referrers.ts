import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode, writeFileAtomically } from '@anole/host';
import { sha256Of } from '../digest.ts';
import { parseJson } from '../json.ts';
import { type Descriptor, encodeJson, readDescriptor } from '../manifest.ts';

/**
 * What the store knows of referrers: a file for each, in a directory named by the digest of what it
 * refers to.
 */
export async function addStoredReferrer(
  store: string,
  subject: Pick<Descriptor, 'digest'>,
  referrer: Descriptor,
): Promise<void> {
  const path = join(directoryOf(store, subject), `${sha256Of(referrer.digest)}.json`);
  await writeFileAtomically(path, encodeJson(referrer));
}

/** In the order of their digests. */
export async function storedReferrers(
  store: string,
  subject: Pick<Descriptor, 'digest'>,
): Promise<readonly Descriptor[]> {
  const directory = directoryOf(store, subject);
  const found: Descriptor[] = [];
  try {
    for (const name of (await readdir(directory)).sort()) {
      if (name.startsWith('.')) continue;
      const path = join(directory, name);
      const subjectOf = { what: path, code: 'OCI_BAD_LAYOUT' } as const;
      found.push(readDescriptor(parseJson(await readFile(path), subjectOf)));
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  return found;
}

function directoryOf(store: string, { digest }: Pick<Descriptor, 'digest'>): string {
  return join(store, 'referrers', sha256Of(digest));
}
