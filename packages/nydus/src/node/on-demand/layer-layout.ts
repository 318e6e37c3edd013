import { OciError } from '@anole/oci';
import type { TarMember } from '@anole/vfs';

/** Blocks of images and devices: files begin at their bounds. */
export const BLOCK = 4096;

/**
 * Where the data of a layer's files lie on its device: in their order in the layer, each at the beginning
 * of a block, and nothing else. So bytes keep their order, and what is a stretch of the layer is one of
 * the device.
 */
export class LayerLayout {
  /** Bytes of the device: whole blocks. */
  readonly size: number;
  /** Of each file that has data: its first byte in the layer, the byte after its last, its place. */
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly #places: Float64Array;

  /**
   * @param starts of each file with data its first byte in the layer, in rising order
   * @param ends the byte after its last
   */
  constructor(starts: Float64Array, ends: Float64Array) {
    this.starts = starts;
    this.ends = ends;
    this.#places = new Float64Array(starts.length);
    let place = 0;
    for (let at = 0; at < starts.length; at++) {
      this.#places[at] = place;
      place += Math.ceil((ends[at]! - starts[at]!) / BLOCK) * BLOCK;
    }
    this.size = place;
  }

  /**
   * @param layerSize bytes of the layer, as its index leads to them
   * @throws OciError `OCI_BAD_INDEX` for files that overlap, or lie outside
   */
  static of(members: readonly TarMember[], layerSize: number): LayerLayout {
    const files = members.filter(({ storedSize }) => storedSize > 0);
    files.sort((a, b) => a.dataOffset - b.dataOffset);
    const starts = Float64Array.from(files, ({ dataOffset }) => dataOffset);
    const ends = Float64Array.from(files, ({ dataOffset, storedSize }) => dataOffset + storedSize);
    for (const [at, { path }] of files.entries()) {
      if (starts[at]! < (at > 0 ? ends[at - 1]! : 0)) throw bad(path, 'overlaps');
      if (ends[at]! > layerSize) throw bad(path, 'lies outside of it');
    }
    return new LayerLayout(starts, ends);
  }

  /** The place of the first byte of a file at or behind a byte of the layer. */
  placeOf(offset: number): number {
    const at = this.#behind(offset);
    if (at === this.#places.length) return this.size;
    return this.#places[at]! + Math.max(0, offset - this.starts[at]!);
  }

  /** Copies what files have of bytes of the layer to their places, counted from `base` of the device. */
  copy(bytes: Uint8Array, offset: number, target: Uint8Array, base: number): void {
    const end = offset + bytes.length;
    for (let at = this.#behind(offset); at < this.#places.length; at++) {
      const from = Math.max(offset, this.starts[at]!);
      const to = Math.min(end, this.ends[at]!);
      if (from >= to) return;
      const place = this.#places[at]! + from - this.starts[at]!;
      target.set(bytes.subarray(from - offset, to - offset), place - base);
    }
  }

  /** The first file that ends behind a byte of the layer. */
  #behind(offset: number): number {
    let [low, high] = [0, this.ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle]! > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function bad(path: string, what: string): OciError {
  return new OciError(
    'OCI_BAD_INDEX',
    `Cannot use the index of a layer: ${JSON.stringify(path)} ${what}`,
  );
}
