import { CHUNK_INDEX_SIZE, EXTENDED_SIZE, INODE_SLOT } from '@anole/erofs/format';
import type { Inode } from './inode.ts';
import { BLOCK_SIZE } from './scan.ts';

const SLOTS = BLOCK_SIZE / INODE_SLOT;

/**
 * Places inodes, directories and link targets one after the other, as nydus-image does: first into room
 * that earlier blocks have left. Offsets begin at one block, which the superblock's area takes.
 * Source: nydus builder/src/core/{v6,context}.rs.
 *
 * @returns the byte behind the last one
 */
export function layOut(inodes: readonly Inode[], chunkSize: number): number {
  const area = new Area();
  for (const inode of placed(inodes)) {
    const { stat, size, xattrs } = inode;
    const head = EXTENDED_SIZE + xattrs.length;
    if (stat.type === 'directory' || stat.type === 'symlink') area.placeWithTail(inode, head);
    else if (stat.type === 'file') {
      const chunks = Math.ceil(size / chunkSize);
      const indexes = Math.ceil(head / CHUNK_INDEX_SIZE) * CHUNK_INDEX_SIZE;
      inode.offset = area.take(indexes + chunks * CHUNK_INDEX_SIZE);
    } else inode.offset = area.append(head);
    inode.nid = inode.offset / INODE_SLOT;
    area.align(INODE_SLOT);
  }
  return area.end;
}

/** A directory, what it lists but directories, then each directory in it. */
function* placed(inodes: readonly Inode[]): Generator<Inode> {
  const seen = new Set<Inode>();
  const pending = [inodes[0]!];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    yield next;
    const { names, children } = next.directory!;
    const below: Inode[] = [];
    for (const [at, child] of children.entries()) {
      if (names[at] === '.' || names[at] === '..') continue;
      if (child.stat.type === 'directory') below.push(child);
      else if (!seen.has(child)) {
        seen.add(child);
        yield child;
      }
    }
    pending.push(...below.reverse());
  }
}

class Area {
  end = BLOCK_SIZE;
  /** Blocks by how many slots at their ends are free, the longest known first. */
  readonly #free: number[][] = Array.from({ length: SLOTS }, () => []);

  append(size: number): number {
    const offset = this.end;
    this.end += size;
    return offset;
  }

  /** Room in an earlier block, or at the end. */
  take(size: number): number {
    return this.#reuse(size) ?? this.append(size);
  }

  align(unit: number): void {
    this.end = Math.ceil(this.end / unit) * unit;
  }

  /** The last part block of the data goes beside the inode where both fit into a block. */
  placeWithTail(inode: Inode, head: number): void {
    const { size } = inode;
    const tail = size % BLOCK_SIZE;
    inode.inline = tail !== 0 && head + tail <= BLOCK_SIZE;
    if (!inode.inline) {
      inode.offset = this.take(head);
      this.#leave();
      inode.dataOffset = this.append(size);
      this.align(BLOCK_SIZE);
      return;
    }
    const reused = this.#reuse(head + tail);
    if (reused === undefined && BLOCK_SIZE - (this.end % BLOCK_SIZE) < head + tail) this.#leave();
    inode.offset = reused ?? this.append(head + tail);
    if (size !== tail) this.#leave();
    inode.dataOffset = this.append(size - tail);
  }

  /** Goes on with the next block; what this one has left may be used later. */
  #leave(): void {
    this.#note(this.end);
    this.align(BLOCK_SIZE);
  }

  #note(offset: number): void {
    if (offset % BLOCK_SIZE === 0) return;
    const slots = Math.floor((BLOCK_SIZE - (offset % BLOCK_SIZE)) / INODE_SLOT);
    this.#free[slots]!.push(offset - (offset % BLOCK_SIZE));
  }

  #reuse(size: number): number | undefined {
    const slots = Math.ceil(size / INODE_SLOT);
    for (let free = slots; size < BLOCK_SIZE && free < SLOTS; free++) {
      const block = this.#free[free]!.shift();
      if (block === undefined) continue;
      const offset = block + BLOCK_SIZE - free * INODE_SLOT;
      this.#note(offset + slots * INODE_SLOT);
      return offset;
    }
    return undefined;
  }
}
