import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type * as OpenPgp from 'openpgp';
import { ArchiveError } from './errors.ts';
import type { Mirror } from './mirror.ts';
import type { Keyring } from './signature.ts';

/** Where Debian's package debian-archive-keyring puts the keys of the archive. */
const systemKeyrings = [
  'usr/share/keyrings/debian-archive-keyring.pgp',
  'usr/share/keyrings/debian-archive-keyring.gpg',
];

/**
 * Public keys out of binary or armored data; several armored blocks may follow one another.
 *
 * @throws ArchiveError `ARCHIVE_BAD_KEYRING`.
 */
export async function readKeyring(data: Uint8Array, what: string): Promise<Keyring> {
  const openpgp = await import('openpgp');
  const text = new TextDecoder('latin1').decode(data);
  const blocks = text.match(/-----BEGIN PGP PUBLIC KEY BLOCK-----[\s\S]*?-----END [^\n]*/g);
  try {
    const keys: OpenPgp.Key[] = [];
    if (blocks === null) keys.push(...(await openpgp.readKeys({ binaryKeys: data })));
    for (const armoredKeys of blocks ?? []) keys.push(...(await openpgp.readKeys({ armoredKeys })));
    return keys;
  } catch (cause) {
    throw new ArchiveError('ARCHIVE_BAD_KEYRING', `Cannot read public keys from ${what}`, {
      cause,
      hint: 'A keyring is a file of OpenPGP public keys, as `gpg --export` writes it.',
    });
  }
}

/**
 * The keys that may sign what the mirror serves: the keyring given, else the one that apt's source
 * names, else the system's Debian archive keyring. Undefined where there is none of these.
 *
 * @throws ArchiveError `ARCHIVE_NO_KEYRING` for a given one that cannot be read.
 */
export async function findKeyring(
  mirror: Pick<Mirror, 'signedBy'>,
  root: string,
  given?: string,
): Promise<Keyring | undefined> {
  if (given !== undefined) return readGiven(given);
  const signedBy = mirror.signedBy ?? '';
  if (signedBy.includes('BEGIN PGP')) {
    return readKeyring(new TextEncoder().encode(signedBy), "the source's Signed-By");
  }
  const named = signedBy.split(/[\s,]+/).filter((name) => name.startsWith('/'));
  return (await readFirst(root, named)) ?? (await readFirst(root, systemKeyrings));
}

async function readGiven(path: string): Promise<Keyring> {
  let data: Uint8Array;
  try {
    data = await readFile(path);
  } catch (cause) {
    throw new ArchiveError('ARCHIVE_NO_KEYRING', `Cannot read keyring ${path}`, { cause });
  }
  return readKeyring(data, path);
}

/** The keys of all files where several are named by one source; undefined where none is there. */
async function readFirst(root: string, names: readonly string[]): Promise<Keyring | undefined> {
  const keys: OpenPgp.Key[] = [];
  for (const name of names) {
    const path = join(root, name);
    const data = await readFile(path).catch(() => undefined);
    if (data !== undefined) keys.push(...(await readKeyring(data, path)));
  }
  return keys.length > 0 ? keys : undefined;
}
