import { encodeVeritySuperblock, VERITY_BLOCK, VERITY_DIGEST, verityShape } from './layout.ts';

/** SHA-256 of some bytes, as 32 bytes, at once. */
export type DigestBlock = (bytes: Uint8Array) => Uint8Array;

export interface VerityTree {
  /** What makes the data known: SHA-256 of the topmost block. */
  readonly rootHash: Uint8Array;
  /** Superblock and hashes, to be kept behind the data: whole blocks. */
  readonly bytes: Uint8Array;
}

/**
 * Makes the hashes of dm-verity for data that come in pieces, so that any block of them can be
 * verified later on its own. They take 1/128 of the data's size, in memory too until the end.
 * Source: Linux Documentation/admin-guide/device-mapper/verity.rst; cryptsetup lib/verity.
 */
export class VerityBuilder {
  readonly #digest: DigestBlock;
  readonly #partial = new Uint8Array(VERITY_BLOCK);
  #held = 0;
  /** Digests of the data's blocks, as far as they are known. */
  #leaves = new Uint8Array(64 * VERITY_BLOCK);
  #count = 0;

  constructor(digest: DigestBlock) {
    this.#digest = digest;
  }

  /** Takes the next bytes, of any length. They are not kept. */
  update(bytes: Uint8Array): void {
    let at = 0;
    if (this.#held > 0) {
      at = Math.min(VERITY_BLOCK - this.#held, bytes.length);
      this.#partial.set(bytes.subarray(0, at), this.#held);
      this.#held += at;
      if (this.#held < VERITY_BLOCK) return;
      this.#leaf(this.#partial);
      this.#held = 0;
    }
    for (; at + VERITY_BLOCK <= bytes.length; at += VERITY_BLOCK) {
      this.#leaf(bytes.subarray(at, at + VERITY_BLOCK));
    }
    this.#partial.set(bytes.subarray(at));
    this.#held = bytes.length - at;
  }

  /**
   * @throws AnoleError `VERITY_BAD_SIZE` where the data did not come in whole blocks, or not at all
   */
  finish(): VerityTree {
    const shape = verityShape(this.#count * VERITY_BLOCK + this.#held);
    const bytes = new Uint8Array(shape.blocks * VERITY_BLOCK);
    let digests = this.#leaves.subarray(0, this.#count * VERITY_DIGEST);
    for (const { first, blocks } of shape.levels) {
      bytes.set(digests, first * VERITY_BLOCK);
      digests = this.#digestsOf(bytes.subarray(first * VERITY_BLOCK), blocks);
    }
    const rootHash = digests.slice(0, VERITY_DIGEST);
    bytes.set(encodeVeritySuperblock(shape.dataBlocks, uuidOf(rootHash)));
    return { rootHash, bytes };
  }

  #digestsOf(bytes: Uint8Array, blocks: number): Uint8Array<ArrayBuffer> {
    const digests = new Uint8Array(blocks * VERITY_DIGEST);
    for (let block = 0; block < blocks; block++) {
      const from = block * VERITY_BLOCK;
      digests.set(this.#digest(bytes.subarray(from, from + VERITY_BLOCK)), block * VERITY_DIGEST);
    }
    return digests;
  }

  #leaf(block: Uint8Array): void {
    const at = this.#count * VERITY_DIGEST;
    if (at === this.#leaves.length) {
      const larger = new Uint8Array(2 * this.#leaves.length);
      larger.set(this.#leaves);
      this.#leaves = larger;
    }
    this.#leaves.set(this.#digest(block), at);
    this.#count++;
  }
}

/** A name for the tree that is its content's: RFC 9562, section 5.8. */
function uuidOf(rootHash: Uint8Array): Uint8Array {
  const uuid = rootHash.slice(0, 16);
  uuid[6] = (uuid[6]! & 0x0f) | 0x80;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return uuid;
}
