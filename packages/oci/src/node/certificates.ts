import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { systemCode } from '@anole/host';
import { OciError } from '../errors.ts';
import type { Certificates } from './http.ts';

/** Directories with one directory for each host (containers-certs.d(5)), the first that has it counts. */
export function certificateDirectories(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): readonly string[] {
  const home = environment['HOME'] || homedir();
  const configuration = environment['XDG_CONFIG_HOME'] || join(home, '.config');
  return [
    join(configuration, 'containers/certs.d'),
    '/etc/containers/certs.d',
    '/etc/docker/certs.d',
  ];
}

/**
 * The certificates for a host: `*.crt` are authorities, `NAME.cert` with `NAME.key` is what the
 * client shows.
 *
 * @throws OciError `OCI_BAD_CONFIGURATION` for a certificate without its key, and the other way round
 */
export async function certificatesIn(
  directories: readonly string[],
  host: string,
): Promise<Certificates> {
  for (const directory of directories) {
    const found = await readCertificates(join(directory, host));
    if (found) return found;
  }
  return {};
}

/** The certificates in a directory, undefined where it is not there. */
export async function readCertificates(directory: string): Promise<Certificates | undefined> {
  let names: string[];
  try {
    names = (await readdir(directory)).sort();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
  const read = (name: string) => readFile(join(directory, name), 'utf8');
  const authorities = await Promise.all(names.filter((name) => name.endsWith('.crt')).map(read));
  const pairs = names.filter((name) => name.endsWith('.cert')).map((name) => name.slice(0, -5));
  const lone = names.find(
    (name) => /\.(?:cert|key)$/.test(name) && !names.includes(partnerOf(name)),
  );
  if (lone !== undefined) {
    throw new OciError(
      'OCI_BAD_CONFIGURATION',
      `Cannot use ${join(directory, lone)}: ${partnerOf(lone)} is missing beside it`,
    );
  }
  const [pair] = pairs;
  if (pair === undefined) return { authorities };
  return { authorities, certificate: await read(`${pair}.cert`), key: await read(`${pair}.key`) };
}

function partnerOf(name: string): string {
  return name.endsWith('.cert') ? name.replace(/\.cert$/, '.key') : name.replace(/\.key$/, '.cert');
}
