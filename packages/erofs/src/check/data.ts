import type { Flow } from '@anole/bytes';
import { layouts } from '../layout/inode.ts';
import { isCompressed } from '../reader/data.ts';
import type { InodeInfo } from '../reader/inode.ts';
import type { Mapping } from '../reader/mapping.ts';
import type { Metadata } from '../reader/metadata.ts';
import type { OpenedImage } from '../reader/open.ts';
import { BlockClaims, type Budget, type SlotClaims } from './claims.ts';
import type { Findings, Place } from './findings.ts';
import type { LinuxReads } from './linux-reads.ts';

/** Pclusters of which is remembered that they decode. */
const REMEMBERED = 65536;

export interface DataCheckOptions {
  readonly slots: (space: Metadata) => SlotClaims;
  /** Bytes of the image and of the devices beside it that were given. */
  readonly sizes: readonly number[];
  /** Whether compressed data are decoded. */
  readonly decode: boolean;
  /** Whose decoders the image is read with. */
  readonly linux: LinuxReads;
  readonly budget: Budget;
}

/** Follows the data of inodes to where they lie, claims the blocks, and decodes what is compressed. */
export class DataCheck {
  readonly #image: OpenedImage;
  readonly #findings: Findings;
  readonly #slots: (space: Metadata) => SlotClaims;
  readonly #decode: boolean;
  readonly #linux: LinuxReads;
  readonly #devices = new Map<number, BlockClaims>();
  /** By place, the most bytes that were decoded of a pcluster. */
  readonly #decoded = new Map<string, number>();
  readonly #sizes: readonly number[];
  readonly #budget: Budget;

  constructor(image: OpenedImage, findings: Findings, options: DataCheckOptions) {
    this.#image = image;
    this.#findings = findings;
    this.#slots = options.slots;
    this.#sizes = options.sizes;
    this.#decode = options.decode;
    this.#linux = options.linux;
    this.#budget = options.budget;
  }

  /** Blocks of a device, 0 being the image. */
  blocks(device: number): BlockClaims {
    let claims = this.#devices.get(device);
    if (claims === undefined) {
      claims = new BlockClaims(this.#image.info.blockSize, this.#budget);
      this.#devices.set(device, claims);
    }
    return claims;
  }

  /** Gives the bytes stored for the inode, or undefined where not all could be followed. */
  *inode(inode: InodeInfo, place: Place): Flow<number | undefined> {
    let stored = 0;
    for (let at = 0; at < inode.stat.size; ) {
      const mapping = yield* this.#image.data.map(inode, at);
      stored += mapping.size;
      if (!(yield* this.#mapping(inode, mapping, place))) return undefined;
      at = mapping.offset + mapping.length;
    }
    return stored;
  }

  /** False where going on would say the same again. */
  *#mapping(inode: InodeInfo, mapping: Mapping, place: Place): Flow<boolean> {
    const { kind, start, size } = mapping;
    if (kind === 'hole') return true;
    if (kind === 'fragment') return yield* this.#fragment(inode, mapping, place);
    if (kind === 'inode') {
      const other = this.#slots(inode.space).claim(start, size, false);
      if (other !== undefined) {
        this.#findings.add('EROFS_OVERLAP', `The last ${size} bytes lie on something else`, {
          ...place,
          offset: other,
        });
        return false;
      }
    } else if (!this.#claim(inode, mapping, place)) return false;
    if (this.#decode && isCompressed(inode)) yield* this.#decodes(inode, mapping, place);
    return true;
  }

  #claim(inode: InodeInfo, mapping: Mapping, place: Place): boolean {
    const { device, start, size } = mapping;
    const limit = this.#sizes[device];
    if (limit === undefined) {
      const message = `Bytes ${mapping.offset} and on lie on device ${device}, which was not given`;
      this.#findings.add('EROFS_NO_DEVICE', message, place);
      return false;
    }
    if (start + size > limit) {
      const message = `${size} bytes of data at byte ${start} end outside the ${limit} there are`;
      this.#findings.add('EROFS_OUT_OF_RANGE', message, { ...place, offset: start });
      return false;
    }
    const { blockSize } = this.#image.info;
    const isPacked = isCompressed(inode) && (start % blockSize !== 0 || size % blockSize !== 0);
    const use = inode.layout === layouts.chunked ? 'chunk' : isPacked ? 'packed' : 'run';
    const claimed = this.blocks(device).claim(start, size, use);
    if (typeof claimed !== 'number') return true;
    this.#findings.add(
      'EROFS_SHARED_BLOCKS',
      `${size} bytes of data at byte ${start} overlap other data or metadata at byte ${claimed}`,
      { ...place, offset: claimed },
    );
    return true;
  }

  *#fragment(inode: InodeInfo, mapping: Mapping, place: Place): Flow<boolean> {
    const { packedNid } = this.#image.info;
    const inside = { ...place, offset: inode.offset };
    if (packedNid === undefined) {
      this.#findings.add(
        'EROFS_BAD_INODE',
        'It is a fragment, but there is no packed inode',
        inside,
      );
      return false;
    }
    const packed = yield* this.#image.data.packedInode();
    if (packed.nid === inode.nid) {
      this.#findings.add('EROFS_BAD_INODE', 'The packed inode holds fragments', inside);
      return false;
    }
    if (mapping.start + mapping.length <= packed.stat.size) return true;
    const message =
      `A fragment of ${mapping.length} bytes at ${mapping.start} ends outside the ` +
      `${packed.stat.size} bytes of the packed inode`;
    this.#findings.add('EROFS_BAD_INODE', message, inside);
    return false;
  }

  /** Decodes a pcluster unless it was, in as many bytes. */
  *#decodes(inode: InodeInfo, mapping: Mapping, place: Place): Flow<void> {
    const { kind, device, start, offset, length, algorithm } = mapping;
    const key = `${kind === 'inode' ? inode.space.name : device}:${start}:${algorithm}`;
    if ((this.#decoded.get(key) ?? 0) >= length) return;
    try {
      yield* this.#image.data.read(inode, offset, length);
      this.#linuxReads(mapping, place);
    } catch (thrown) {
      this.#findings.raised(thrown, place);
    }
    if (this.#decoded.size >= REMEMBERED) {
      const oldest = this.#decoded.keys().next();
      if (!oldest.done) this.#decoded.delete(oldest.value);
    }
    this.#decoded.set(key, length);
  }

  #linuxReads(mapping: Mapping, place: Place): void {
    const refusal = this.#linux.refusal(mapping, this.#image.info);
    if (refusal === undefined) return;
    const { code, reason, offset } = refusal;
    const does = code === 'EROFS_LINUX_REFUSES' ? 'does not decode' : 'may decode otherwise';
    const message = `Linux ${does} the pcluster of bytes ${mapping.offset} and on: ${reason}`;
    this.#findings.add(code, message, { ...place, offset });
  }
}
