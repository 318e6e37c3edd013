import type * as OpenPgp from 'openpgp';
import { type ArchiveCode, ArchiveError } from './errors.ts';

/** Public keys, as `readKeyring` gives them. */
export type Keyring = readonly OpenPgp.Key[];

/** Text whose signature was good. Only this text may be used, never what surrounded it. */
export interface SignedText {
  readonly text: string;
  /** Fingerprints (upper-case hexadecimal) of the primary keys with a good signature. */
  readonly signedBy: readonly string[];
}

/** Why one signature is not good, the least hopeless last. */
const byWeight = [
  'ARCHIVE_UNKNOWN_KEY',
  'ARCHIVE_WEAK_SIGNATURE',
  'ARCHIVE_REVOKED_KEY',
  'ARCHIVE_EXPIRED_KEY',
  'ARCHIVE_EXPIRED_SIGNATURE',
  'ARCHIVE_BAD_SIGNATURE',
] as const satisfies readonly ArchiveCode[];

type SignatureVerdict = Awaited<ReturnType<typeof OpenPgp.verify>>['signatures'][number];
type Fault = { readonly code: (typeof byWeight)[number]; readonly why: string };

/** Bytes an InRelease may have: Debian's largest has 300 KiB. */
export const largestRelease = 16 << 20;
const smallestRsaKey = 2048;

/**
 * Verifies a clear-signed message (RFC 9580, 7): at least one signature by a key of the ring must be
 * good. A key or signature that has expired by `now` (milliseconds) is not; nor is one made with
 * MD5, SHA-1 or RIPEMD-160.
 *
 * @throws ArchiveError `ARCHIVE_NOT_SIGNED`, `ARCHIVE_UNKNOWN_KEY`, `ARCHIVE_WEAK_SIGNATURE`,
 * `ARCHIVE_EXPIRED_KEY`, `ARCHIVE_EXPIRED_SIGNATURE`, `ARCHIVE_REVOKED_KEY`, `ARCHIVE_BAD_SIGNATURE`.
 */
export async function verifySigned(
  message: string,
  keys: Keyring,
  what: string,
  now: number = Date.now(),
): Promise<SignedText> {
  const openpgp = await import('openpgp');
  const cleartext = await readMessage(openpgp, message, what);
  const date = new Date(now);
  const verification = await openpgp.verify({
    message: cleartext,
    verificationKeys: [...keys],
    date,
  });
  const faults: Fault[] = [];
  const signedBy = new Set<string>();
  for (const signature of verification.signatures) {
    const key = keys.find((candidate) => hasKey(candidate, signature.keyID));
    const fault =
      key === undefined
        ? { code: 'ARCHIVE_UNKNOWN_KEY' as const, why: `key ${signature.keyID.toHex()} is unknown` }
        : await faultOf(openpgp, signature, key, date);
    if (fault !== undefined) faults.push(fault);
    else signedBy.add(key!.getFingerprint().toUpperCase());
  }
  if (signedBy.size > 0) return { text: verification.data, signedBy: [...signedBy] };
  throw notGood(what, faults);
}

/** What a clear-signed message says, with no regard to who signed it. @throws `ARCHIVE_NOT_SIGNED`. */
export async function unverifiedText(message: string, what: string): Promise<string> {
  return (await readMessage(await import('openpgp'), message, what)).getText();
}

async function readMessage(
  openpgp: typeof OpenPgp,
  message: string,
  what: string,
): Promise<OpenPgp.CleartextMessage> {
  try {
    return await openpgp.readCleartextMessage({ cleartextMessage: message });
  } catch (cause) {
    throw new ArchiveError('ARCHIVE_NOT_SIGNED', `Cannot verify ${what}: it is not clear-signed`, {
      cause,
      hint: 'Check that the mirror is a Debian archive, and that no portal answers in its place.',
    });
  }
}

function hasKey(key: OpenPgp.Key, id: OpenPgp.KeyID): boolean {
  return key.getKeys(id).length > 0;
}

async function faultOf(
  openpgp: typeof OpenPgp,
  { signature, verified, keyID }: SignatureVerdict,
  key: OpenPgp.Key,
  now: Date,
): Promise<Fault | undefined> {
  const name = `key ${keyID.toHex()} of ${key.getUserIDs()[0] ?? 'nobody'}`;
  const packet = (await signature).packets[0]!;
  const signer = key.getKeys(keyID)[0]!;
  if (isWeak(openpgp, packet, signer)) {
    return { code: 'ARCHIVE_WEAK_SIGNATURE', why: `the signature by ${name} is too weak` };
  }
  try {
    await verified;
  } catch (error) {
    return failedFault(error, name);
  }
  if (await key.isRevoked(undefined, undefined, now)) {
    return { code: 'ARCHIVE_REVOKED_KEY', why: `${name} is revoked` };
  }
  if (await isExpired(key, signer, now)) {
    return { code: 'ARCHIVE_EXPIRED_KEY', why: `${name} has expired` };
  }
  if (packet.isExpired(now)) {
    return { code: 'ARCHIVE_EXPIRED_SIGNATURE', why: `the signature by ${name} has expired` };
  }
  return undefined;
}

/** The library tells its verdicts apart by message only. */
function failedFault(error: unknown, name: string): Fault {
  const why = error instanceof Error ? error.message : String(error);
  const shown = `${name}: ${why}`;
  if (/signature is expired|signature has expired/i.test(why)) {
    return { code: 'ARCHIVE_EXPIRED_SIGNATURE', why: shown };
  }
  if (/revoked/i.test(why)) return { code: 'ARCHIVE_REVOKED_KEY', why: shown };
  if (/expired/i.test(why)) return { code: 'ARCHIVE_EXPIRED_KEY', why: shown };
  if (/insecure|too weak|considered/i.test(why)) {
    return { code: 'ARCHIVE_WEAK_SIGNATURE', why: shown };
  }
  return { code: 'ARCHIVE_BAD_SIGNATURE', why: shown };
}

function isWeak(
  openpgp: typeof OpenPgp,
  packet: OpenPgp.SignaturePacket,
  signer: OpenPgp.Key | OpenPgp.Subkey,
): boolean {
  const { sha224, sha256, sha384, sha512, sha3_256, sha3_512 } = openpgp.enums.hash;
  const strong: (number | null)[] = [sha224, sha256, sha384, sha512, sha3_256, sha3_512];
  const { bits } = signer.getAlgorithmInfo();
  return !strong.includes(packet.hashAlgorithm) || (bits !== undefined && bits < smallestRsaKey);
}

async function isExpired(
  key: OpenPgp.Key,
  signer: OpenPgp.Key | OpenPgp.Subkey,
  now: Date,
): Promise<boolean> {
  const times = [await key.getExpirationTime(), await signer.getExpirationTime()];
  return times.some((time) => time === null || (time instanceof Date && time <= now));
}

function notGood(what: string, faults: readonly Fault[]): ArchiveError {
  const worst = faults.toSorted((a, b) => byWeight.indexOf(b.code) - byWeight.indexOf(a.code))[0];
  const code = worst?.code ?? 'ARCHIVE_NOT_SIGNED';
  const why = faults.map((fault) => fault.why).join('; ') || 'it has no signature';
  return new ArchiveError(code, `Cannot verify ${what}: ${why}`, {
    hint: hints[code] ?? 'Try another mirror: this one may be damaged or forged.',
  });
}

const hints: Partial<Record<ArchiveCode, string>> = {
  ARCHIVE_UNKNOWN_KEY:
    "Install a newer debian-archive-keyring, or give the archive's public keys with --keyring.",
  ARCHIVE_EXPIRED_KEY:
    "Check this machine's clock; else install a newer debian-archive-keyring or use --keyring.",
};
