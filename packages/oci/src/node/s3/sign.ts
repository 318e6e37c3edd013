import { createHmac, hash } from 'node:crypto';

/** Who asks a service that speaks S3. */
export interface S3Keys {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Of credentials that expire. */
  readonly token?: string;
}

export interface S3Request {
  readonly method: string;
  readonly url: URL;
  /** Signed with those that are added. */
  readonly headers: Readonly<Record<string, string>>;
}

/** SHA-256 of no bytes: requests that read have no body. */
const EMPTY = hash('sha256', '', 'hex');
const ALGORITHM = 'AWS4-HMAC-SHA256';

/**
 * The headers of a request without a body, signed by Signature Version 4. Source: Amazon S3 API Reference,
 * "Authenticating Requests: Using the Authorization Header".
 *
 * @param now milliseconds since 1970; services accept some minutes of difference
 */
export function signS3(
  { method, url, headers }: S3Request,
  { accessKey, secretKey, token }: S3Keys,
  region: string,
  now: number,
): Record<string, string> {
  const time = new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const added: Record<string, string> = {
    ...headers,
    'x-amz-content-sha256': EMPTY,
    'x-amz-date': time,
    ...(token !== undefined && { 'x-amz-security-token': token }),
  };
  const signed = Object.entries({ ...added, host: url.host })
    .map(([name, value]) => [name.toLowerCase(), value.trim().replace(/ +/g, ' ')] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(';');
  const lines = signed.map(([name, value]) => `${name}:${value}\n`).join('');
  const asked = [method, pathOf(url), queryOf(url), lines, names, EMPTY].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = [ALGORITHM, time, scope, hash('sha256', asked, 'hex')].join('\n');
  let key: Uint8Array | string = `AWS4${secretKey}`;
  for (const part of [day, region, 's3', 'aws4_request']) key = hmac(key, part);
  const signature = Buffer.from(hmac(key, text)).toString('hex');
  const by = `Credential=${accessKey}/${scope},SignedHeaders=${names},Signature=${signature}`;
  return { ...added, authorization: `${ALGORITHM} ${by}` };
}

function hmac(key: Uint8Array | string, text: string): Uint8Array {
  return createHmac('sha256', key).update(text).digest();
}

function pathOf({ pathname }: URL): string {
  return pathname
    .split('/')
    .map((part) => encode(decodeURIComponent(part)))
    .join('/');
}

function queryOf({ searchParams }: URL): string {
  const pairs = [...searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`);
  return pairs.sort().join('&');
}

/** All but the unreserved characters of RFC 3986, 2.3. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
