/** The name that mkfs.erofs gives the attribute with the digest of a file: one that Linux shows to nobody. */
export const DIGEST_NAME = 'erofs.fingerprint.v1';
/** What its value begins with; the 32 bytes of the SHA-256 follow. Source: erofs-utils lib/inode.c. */
export const DIGEST_KIND: Uint8Array = new TextEncoder().encode('sha256:');
export const DIGEST_SIZE: number = DIGEST_KIND.length + 32;

/** The value of the attribute. */
export function digestValue(hex: string): Uint8Array {
  const value = new Uint8Array(DIGEST_SIZE);
  value.set(DIGEST_KIND);
  for (let at = DIGEST_KIND.length, from = 0; at < DIGEST_SIZE; at++, from += 2) {
    value[at] = Number.parseInt(hex.slice(from, from + 2), 16);
  }
  return value;
}
