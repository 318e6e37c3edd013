import type { Flow, Hash } from '@anole/bytes';
import { compareBytes } from '../compare-bytes.ts';
import { DIGEST_KIND, DIGEST_SIZE, digestValue } from '../layout/digest.ts';
import type { InodeInfo } from '../reader/inode.ts';
import type { OpenedImage } from '../reader/open.ts';
import { XattrReader } from '../reader/xattrs.ts';
import type { Findings, Place } from './findings.ts';

/** Bytes that are hashed at once. */
const PIECE = 1024 * 1024;
/** Bytes of files that are hashed at most, for each that is stored: more are holes of a size that anyone can write. */
const HASHED_PER_BYTE = 64;
const HASHED_LEAST = 2 ** 30;

/** Compares files with the digests in their attributes. */
export class DigestCheck {
  readonly #image: OpenedImage;
  readonly #findings: Findings;
  readonly #sha256: () => Hash;
  readonly #xattrs: XattrReader;
  /** Bytes that may still be hashed. */
  #left: number;

  /** @param stored bytes of the image and its devices */
  constructor(image: OpenedImage, findings: Findings, sha256: () => Hash, stored: number) {
    this.#image = image;
    this.#findings = findings;
    this.#sha256 = sha256;
    this.#xattrs = new XattrReader(image.spaces, image.info, image.prefixes);
    this.#left = Math.max(HASHED_LEAST, stored * HASHED_PER_BYTE);
    if (image.info.digestPrefix !== undefined) return;
    findings.add('EROFS_NO_DIGESTS', 'The image has no digests of its files');
  }

  /** Of a file whose data could be followed. */
  *file(inode: InodeInfo, place: Place): Flow<void> {
    const { digestPrefix } = this.#image.info;
    const { size, type } = inode.stat;
    if (digestPrefix === undefined || type !== 'file' || size === 0) return;
    const value = yield* this.#xattrs.named(inode, digestPrefix);
    if (value === undefined) return;
    const kind = value.subarray(0, DIGEST_KIND.length);
    if (value.length !== DIGEST_SIZE || compareBytes(kind, DIGEST_KIND) !== 0) {
      this.#findings.add('EROFS_DIGEST', 'Its digest is not a SHA-256', place);
      return;
    }
    if (size > this.#left) {
      const message = `It was not hashed: its ${size} bytes, with those before, are far more than are stored`;
      this.#findings.add('EROFS_NO_DIGESTS', message, place);
      return;
    }
    this.#left -= size;
    const hash = this.#sha256();
    for (let at = 0; at < size; at += PIECE) {
      hash.update(yield* this.#image.data.read(inode, at, Math.min(PIECE, size - at)));
    }
    const hex = hash.digest('hex');
    if (compareBytes(value, digestValue(hex)) === 0) return;
    this.#findings.add('EROFS_DIGEST', `Its digest is not that of what it holds, ${hex}`, place);
  }
}
