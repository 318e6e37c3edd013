import { fstatSync } from 'node:fs';
import {
  addSeals,
  closeDescriptor,
  type Mapping,
  mapFile,
  memoryFile,
  Seal,
  sealsOf,
} from '@anole/host/native';
import { SmcError } from '../errors.ts';
import { BASE_BYTES, FILE_BYTES, Head, MAGIC, SEGMENT_BYTES, SLOTS, VERSION } from './layout.ts';

/** One side's memory (shm/layout.ts), ours or the peer's. Owned by a link, which closes it. */
export class LinkMemory implements Disposable {
  /** For sending it to the peer; -1 of the peer's. */
  readonly fd: number;
  readonly words: Int32Array<ArrayBuffer>;
  private readonly mapping: Mapping;
  private readonly segments = new Map<number, Buffer<ArrayBuffer>>();

  private constructor(fd: number, mapping: Mapping) {
    this.fd = fd;
    this.mapping = mapping;
    this.words = new Int32Array(mapping.view(0, BASE_BYTES));
  }

  /** Memory that this side writes; nobody else can, and nobody can change its size. */
  static create(): LinkMemory {
    const fd = memoryFile('anole-smc', FILE_BYTES);
    try {
      const mapping = mapFile(fd, FILE_BYTES, { writable: true });
      addSeals(fd, Seal.shrink | Seal.grow | Seal.futureWrite | Seal.seal);
      const memory = new LinkMemory(fd, mapping);
      memory.words[Head.magic] = MAGIC;
      memory.words[Head.version] = VERSION;
      memory.words[Head.slots] = SLOTS;
      return memory;
    } catch (error) {
      closeDescriptor(fd);
      throw error;
    }
  }

  /**
   * The peer's memory. The caller still owns the descriptor.
   *
   * @throws SmcError `SMC_BAD_PEER` where its size is another, or it could be changed
   * @throws HostError where it is no memory file
   */
  static of(fd: number): LinkMemory {
    const needed = Seal.shrink | Seal.grow;
    if ((sealsOf(fd) & needed) !== needed) {
      throw new SmcError('SMC_BAD_PEER', 'Cannot share memory: the peer could truncate it');
    }
    const { size } = fstatSync(fd);
    if (size !== FILE_BYTES) {
      throw new SmcError('SMC_BAD_PEER', `Cannot share memory: it has ${size} bytes`);
    }
    const memory = new LinkMemory(-1, mapFile(fd, FILE_BYTES));
    const { words } = memory;
    if (words[Head.magic] === MAGIC && words[Head.version] === VERSION) return memory;
    memory[Symbol.dispose]();
    throw new SmcError('SMC_BAD_PEER', 'Cannot share memory: it is of another version');
  }

  /** Bytes of a segment, below `SEGMENTS`. */
  segment(index: number): Buffer<ArrayBuffer> {
    let bytes = this.segments.get(index);
    if (bytes === undefined) {
      const offset = BASE_BYTES + index * SEGMENT_BYTES;
      bytes = Buffer.from(this.mapping.view(offset, SEGMENT_BYTES));
      this.segments.set(index, bytes);
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    this.mapping.close();
    this.segments.clear();
    if (this.fd >= 0) closeDescriptor(this.fd);
  }
}
