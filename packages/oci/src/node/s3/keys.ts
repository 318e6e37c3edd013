import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '@anole/host';
import { OciError } from '../../errors.ts';
import type { S3Keys } from './sign.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The keys of this computer: of the environment (`AWS_ACCESS_KEY_ID` …), else of the file that AWS's tools share,
 * which others may renew at any time. Undefined where there are none: buckets may be public.
 *
 * @throws OciError `OCI_BAD_CONFIGURATION`
 */
export async function findS3Keys(environment: Environment): Promise<S3Keys | undefined> {
  const own = keysOf({
    aws_access_key_id: environment['AWS_ACCESS_KEY_ID'],
    aws_secret_access_key: environment['AWS_SECRET_ACCESS_KEY'],
    aws_session_token: environment['AWS_SESSION_TOKEN'],
  });
  if (own) return own;
  const { HOME = '/root', AWS_SHARED_CREDENTIALS_FILE } = environment;
  const path = AWS_SHARED_CREDENTIALS_FILE ?? join(HOME, '.aws/credentials');
  const profile = environment['AWS_PROFILE'] ?? 'default';
  try {
    const section = parseSection(await readFile(path, 'utf8'), profile);
    return section && keysOf(section);
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw new OciError('OCI_BAD_CONFIGURATION', `Cannot read ${path}`, { cause });
  }
}

function keysOf(settings: Environment): S3Keys | undefined {
  const accessKey = settings['aws_access_key_id'];
  const secretKey = settings['aws_secret_access_key'];
  const token = settings['aws_session_token'];
  if (!accessKey || !secretKey) return undefined;
  return { accessKey, secretKey, ...(token && { token }) };
}

/** The settings of one section of an INI file; undefined where it is not there. */
function parseSection(text: string, wanted: string): Environment | undefined {
  let found: Record<string, string> | undefined;
  let isWanted = false;
  for (const line of text.split('\n').map((each) => each.trim())) {
    const section = /^\[\s*(.*?)\s*\]$/.exec(line)?.[1];
    if (section !== undefined) {
      isWanted = section === wanted;
      if (isWanted) found ??= {};
    }
    const setting = /^([a-z_]+)\s*=\s*(.*)$/.exec(line);
    if (isWanted && found && setting) found[setting[1]!] = setting[2]!;
  }
  return found;
}
