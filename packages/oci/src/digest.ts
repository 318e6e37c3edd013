import { OciError } from './errors.ts';

/** `sha256:` and 64 hexadecimal digits, or `sha512:` and 128 (OCI image-spec, descriptor.md). */
export type Digest = string;

const pattern = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: string): boolean {
  return pattern.test(text);
}

/** @throws OciError `OCI_BAD_DIGEST` */
export function checkDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new OciError('OCI_BAD_DIGEST', `Cannot use the digest ${JSON.stringify(cut(text))}`, {
    hint: 'A digest is sha256: or sha512: and hexadecimal digits.',
  });
}

/** @throws OciError `OCI_UNSUPPORTED` for another hash than SHA-256 */
export function sha256Of(digest: Digest): string {
  if (digest.startsWith('sha256:')) return digest.slice('sha256:'.length);
  throw new OciError('OCI_UNSUPPORTED', `Cannot keep content by ${digest}: only SHA-256 is kept`);
}

/** The SHA-256 of bytes at hand, as a digest. */
export async function digestOf(bytes: Uint8Array): Promise<Digest> {
  return `sha256:${await hashed('SHA-256', bytes)}`;
}

/** @throws OciError `OCI_WRONG_CONTENT` where the bytes are not those of the digest */
export async function verifyDigest(bytes: Uint8Array, digest: Digest, what: string): Promise<void> {
  const [algorithm, hex] = digest.split(':');
  const met = await hashed(algorithm === 'sha512' ? 'SHA-512' : 'SHA-256', bytes);
  if (met === hex) return;
  throw new OciError(
    'OCI_WRONG_CONTENT',
    `Cannot accept ${what}: it has the digest ${algorithm}:${met} instead of ${digest}`,
    { details: { digest, met: `${algorithm}:${met}` } },
  );
}

async function hashed(algorithm: string, bytes: Uint8Array): Promise<string> {
  const hash = await crypto.subtle.digest(algorithm, bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Text from outside, as long as a message bears. */
export function cut(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
