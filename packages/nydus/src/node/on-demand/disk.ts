import { type Awaitable, checkRange, isPromise, type ReadOptions, type Source } from '@anole/bytes';
import type { ErofsTree } from '@anole/erofs';
import { RafsError } from '../../errors.ts';
import { BLOCK } from './layer-layout.ts';

interface Part {
  readonly start: number;
  readonly source: Source;
}

/**
 * An image and its devices as one disk, each device where the image's table has it. What lies between is
 * zeros.
 *
 * @throws RafsError `RAFS_BAD_BOOTSTRAP` where they overlap
 */
export function diskOf(tree: ErofsTree, [image, ...devices]: readonly Source[]): Source {
  const parts: Part[] = [{ start: 0, source: image! }];
  for (const [at, { unifiedBlock }] of tree.devices.entries()) {
    parts.push({ start: unifiedBlock * tree.info.blockSize, source: devices[at]! });
  }
  parts.sort((a, b) => a.start - b.start);
  let end = 0;
  for (const { start, source } of parts) {
    if (start < end) {
      throw new RafsError('RAFS_BAD_BOOTSTRAP', 'Cannot make a disk: its devices overlap');
    }
    end = start + source.size;
  }
  return new Disk(parts, Math.ceil(end / BLOCK) * BLOCK);
}

class Disk implements Source {
  readonly size: number;
  readonly #parts: readonly Part[];

  constructor(parts: readonly Part[], size: number) {
    this.#parts = parts;
    this.size = size;
  }

  read(offset: number, length: number, options: ReadOptions = {}): Awaitable<Uint8Array> {
    checkRange(offset, length, this.size);
    const out = new Uint8Array(length);
    const waits: Promise<void>[] = [];
    for (const { start, source } of this.#parts) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + length, start + source.size);
      if (from >= to) continue;
      const bytes = source.read(from - start, to - from, options);
      if (isPromise(bytes)) waits.push(bytes.then((all) => out.set(all, from - offset)));
      else out.set(bytes, from - offset);
    }
    return waits.length === 0 ? out : Promise.all(waits).then(() => out);
  }
}
