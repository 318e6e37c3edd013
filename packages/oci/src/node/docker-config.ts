import { chmod, readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { systemCode, withLock, writeFileAtomically } from '@anole/host';
import { OciError } from '../errors.ts';
import { type JsonObject, parseJson } from '../json.ts';
import type { Credentials } from '../registry/credentials.ts';
import { askHelper, eraseFromHelper, storeInHelper } from './credential-helper.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const MAX_FILE = 1024 * 1024;

/** Files with logins, the first to be written to: podman's and docker's places. */
export function authFiles(environment: Environment = process.env): readonly string[] {
  const given = environment['REGISTRY_AUTH_FILE'];
  if (given) return [given];
  const home = environment['HOME'] || homedir();
  const runtime = environment['XDG_RUNTIME_DIR'];
  const configuration = environment['XDG_CONFIG_HOME'] || join(home, '.config');
  return [
    join(environment['DOCKER_CONFIG'] || join(home, '.docker'), 'config.json'),
    ...(runtime ? [join(runtime, 'containers/auth.json')] : []),
    join(configuration, 'containers/auth.json'),
  ];
}

/**
 * The login for a registry: of the first file that knows it. Within a file, a helper for the host
 * goes before the file's own logins, and those before its general helper, as docker has it.
 *
 * @throws OciError `OCI_BAD_CONFIGURATION`, `OCI_CREDENTIALS`
 */
export async function findCredentials(
  host: string,
  files: readonly string[],
): Promise<Credentials | undefined> {
  for (const file of files) {
    const config = await readConfigFile(file);
    const found = config && (await credentialsIn(config, host));
    if (found) return found;
  }
  return undefined;
}

async function credentialsIn(config: JsonObject, host: string): Promise<Credentials | undefined> {
  const helper = config.texts('credHelpers')?.[host];
  if (helper !== undefined) return askHelper(helper, host);
  const auths = config.optionalObject('auths');
  const key = Object.keys(auths?.raw ?? {}).find((each) => hostOfKey(each) === host);
  const own = auths && key !== undefined ? ownCredentials(auths.object(key)) : undefined;
  if (own) return own;
  const store = config.optionalString('credsStore');
  if (store === undefined) return undefined;
  // Docker asks its store by the key of the login, which may be an address.
  return askHelper(store, key ?? host);
}

/** Keys are hosts, in old files addresses: `https://HOST/v1/`. */
function hostOfKey(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/.*$/s, '');
}

function ownCredentials(login: JsonObject): Credentials | undefined {
  const identityToken = login.optionalString('identitytoken');
  if (identityToken !== undefined) return { identityToken };
  const registryToken = login.optionalString('registrytoken');
  if (registryToken !== undefined) return { registryToken };
  const auth = login.optionalString('auth');
  if (auth === undefined) {
    const username = login.optionalString('username');
    const password = login.optionalString('password');
    return username === undefined || password === undefined ? undefined : { username, password };
  }
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = text.indexOf(':');
  if (colon <= 0) throw login.wrong('auth', 'no name and password');
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

async function readConfigFile(file: string): Promise<JsonObject | undefined> {
  let bytes: Buffer;
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE) {
      throw new OciError('OCI_BAD_CONFIGURATION', `Cannot read ${file}: it has ${size} bytes`);
    }
    bytes = await readFile(file);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (error instanceof OciError) throw error;
    throw new OciError('OCI_BAD_CONFIGURATION', `Cannot read ${file}: ${code}`, { cause: error });
  }
  return parseJson(bytes, { what: file, code: 'OCI_BAD_CONFIGURATION' });
}

/** What logging in did, for the user. */
export interface Kept {
  readonly where: string;
  /** The password lies readable in a file. */
  readonly plain: boolean;
}

/**
 * Keeps a login: with the file's helper where it has one, else in the file itself, which only its
 * owner may read. What else is in the file stays.
 */
export async function keepCredentials(
  host: string,
  credentials: { readonly username: string; readonly password: string },
  files: readonly string[],
): Promise<Kept> {
  const file = files[0]!;
  const config = await readConfigFile(file);
  const helper = config?.texts('credHelpers')?.[host] ?? config?.optionalString('credsStore');
  if (helper !== undefined) {
    await storeInHelper(helper, host, credentials);
    return { where: `docker-credential-${helper}`, plain: false };
  }
  const { username, password } = credentials;
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  await changeLogins(file, (logins) => ({ ...logins, [host]: { auth } }));
  return { where: file, plain: true };
}

/** Forgets a login everywhere. Gives the places it was in. */
export async function forgetCredentials(
  host: string,
  files: readonly string[],
): Promise<readonly string[]> {
  const places: string[] = [];
  for (const file of files) {
    const config = await readConfigFile(file);
    if (config === undefined) continue;
    const helper = config.texts('credHelpers')?.[host] ?? config.optionalString('credsStore');
    if (helper !== undefined && (await eraseFromHelper(helper, host))) {
      places.push(`docker-credential-${helper}`);
    }
    const keys = Object.keys(config.optionalObject('auths')?.raw ?? {});
    if (!keys.some((key) => hostOfKey(key) === host)) continue;
    await changeLogins(file, (logins) =>
      Object.fromEntries(Object.entries(logins).filter(([key]) => hostOfKey(key) !== host)),
    );
    places.push(file);
  }
  return places;
}

async function changeLogins(
  file: string,
  change: (logins: Readonly<Record<string, unknown>>) => Record<string, unknown>,
): Promise<void> {
  await withLock(`${file}.anole-lock`, async () => {
    const config = (await readConfigFile(file))?.raw ?? {};
    const logins = (config['auths'] ?? {}) as Record<string, unknown>;
    const text = `${JSON.stringify({ ...config, auths: change(logins) }, null, 2)}\n`;
    await writeFileAtomically(file, text, { mode: 0o600 });
    await chmod(file, 0o600);
  });
}
