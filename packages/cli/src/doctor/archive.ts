import { existsSync } from 'node:fs';
import { findMirrors } from '@anole/compose';
import type { Finding } from './check.ts';

const keyrings = [
  '/usr/share/keyrings/debian-archive-keyring.pgp',
  '/usr/share/keyrings/debian-archive-keyring.gpg',
];

export async function mirror(): Promise<Finding> {
  const next = 'Set ANOLE_DEBIAN_MIRROR to the base URI of a Debian archive';
  try {
    const { main, lookedAt } = await findMirrors({});
    const uri = main[0]?.uris[0];
    if (uri !== undefined) return { name: 'mirror', state: 'ok', found: uri };
    const found = `none (read: ${lookedAt.join(', ') || 'no file'})`;
    return { name: 'mirror', state: 'missing', found, next };
  } catch (error) {
    return { name: 'mirror', state: 'missing', found: String(error), next };
  }
}

export function archiveKeyring(): Finding {
  const found = keyrings.find((path) => existsSync(path));
  if (found !== undefined) return { name: 'keyring', state: 'ok', found };
  return {
    name: 'keyring',
    state: 'optional',
    found: "no file; keys are taken from the mirror and checked against anole's list",
    next: 'Install debian-archive-keyring to use the system’s own',
  };
}
