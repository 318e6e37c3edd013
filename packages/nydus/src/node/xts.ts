import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { CipherKey } from '../codecs.ts';
import { damaged } from '../errors.ts';

/** Less than a unit of XTS cannot be encrypted: it is filled up, and marked. */
const UNIT = 16;
/** Source: nydus utils/src/crypt.rs, PADDING_MAGIC_END, behind a unit of padded bytes. */
const mark = Uint8Array.of(0x78, 0x90);
const PADDED = UNIT + mark.length;

/** AES-128-XTS, all bytes as one sector. Source: nydus utils/src/crypt.rs, Cipher. */
export function encryptXts(bytes: Uint8Array, { key, iv }: CipherKey): Uint8Array {
  if (bytes.length === 0) return bytes;
  const cipher = createCipheriv('aes-128-xts', key, iv);
  return cipher.update(bytes.length < UNIT ? padded(bytes) : bytes);
}

/** @throws RafsError `RAFS_WRONG_CONTENT` where the bytes cannot have been encrypted */
export function decryptXts(bytes: Uint8Array, { key, iv }: CipherKey): Uint8Array {
  if (bytes.length === 0) return bytes;
  if (bytes.length < UNIT || sameHalves(key)) {
    throw damaged('RAFS_WRONG_CONTENT', `Cannot decrypt ${bytes.length} bytes of the blob`);
  }
  const plain = createDecipheriv('aes-128-xts', key, iv).update(bytes);
  if (plain.length !== PADDED || plain[UNIT] !== mark[0] || plain[UNIT + 1] !== mark[1]) {
    return plain;
  }
  const missing = plain[UNIT - 1]!;
  return missing < UNIT ? plain.subarray(0, UNIT - missing) : plain;
}

/** OpenSSL takes no key whose halves are the same. */
function sameHalves(key: Uint8Array): boolean {
  return key.subarray(0, UNIT).every((byte, at) => byte === key[UNIT + at]);
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(PADDED).fill(UNIT - bytes.length);
  whole.set(bytes);
  whole.set(mark, UNIT);
  return whole;
}
