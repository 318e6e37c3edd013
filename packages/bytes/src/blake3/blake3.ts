import { viewOf } from '../struct.ts';
import { BLOCK_SIZE, CHUNK_SIZE, compress, flags, initial, VALUE_SIZE } from './compress.ts';
import { kernel, LANES } from './kernel.ts';

/** Chunks that are hashed into one node of the tree at once: a power of two. */
const BATCH = 64;

/** In the kernel's memory: values of a level, those of the next, chunks. */
const VALUES = 0;
const PARENTS = BATCH * VALUE_SIZE;
const INPUT = PARENTS + (BATCH / 2) * VALUE_SIZE;

/**
 * The BLAKE3 hash of bytes, 32 bytes. Four chunks at a time are hashed in WebAssembly's vectors, where
 * they may run; what is left over, and everything elsewhere, in JavaScript.
 * Source: the BLAKE3 specification.
 *
 * @example
 * const digest = blake3(new TextEncoder().encode('anole'));
 */
export function blake3(bytes: Uint8Array): Uint8Array {
  const nodes: Int32Array[] = [];
  const chunks = Math.max(1, Math.ceil(bytes.length / CHUNK_SIZE));
  if (chunks === 1) return bytesOf(hashChunk(bytes, 0, flags.root));
  for (let chunk = 0; chunk < chunks; chunk += BATCH) {
    const part = bytes.subarray(chunk * CHUNK_SIZE, (chunk + BATCH) * CHUNK_SIZE);
    // A tree of one batch ends with its root, which is no node like the others.
    if (chunks <= BATCH) nodes.push(...chunkValues(part, chunk));
    else nodes.push(node(part, chunk));
  }
  const [left, right] = reduced(nodes, 2);
  return bytesOf(parent(left!, right!, flags.root));
}

/** Levels of a tree up to the one that has at most `most` nodes. One that is left over goes up as it is. */
function reduced(nodes: readonly Int32Array[], most: number): readonly Int32Array[] {
  let level = nodes;
  while (level.length > most) {
    const above: Int32Array[] = [];
    for (let at = 0; at + 1 < level.length; at += 2) {
      above.push(parent(level[at]!, level[at + 1]!, 0));
    }
    if (level.length % 2 === 1) above.push(level.at(-1)!);
    level = above;
  }
  return level;
}

/** The value of all of up to `BATCH` chunks. */
function node(bytes: Uint8Array, first: number): Int32Array {
  const engine = theEngine();
  if (bytes.length < BATCH * CHUNK_SIZE || engine === undefined) {
    return reduced(chunkValues(bytes, first), 1)[0]!;
  }
  engine.hashChunks(bytes, BATCH, first);
  return engine.node();
}

/** The values of up to `BATCH` chunks. */
function chunkValues(bytes: Uint8Array, first: number): readonly Int32Array[] {
  const engine = theEngine();
  const whole = Math.floor(bytes.length / CHUNK_SIZE);
  const values: Int32Array[] = [];
  const done = engine ? whole - (whole % LANES) : 0;
  if (engine) {
    engine.hashChunks(bytes, done, first);
    for (let at = 0; at < done; at++) values.push(engine.value(VALUES + at * VALUE_SIZE));
  }
  for (let at = done; at * CHUNK_SIZE < bytes.length; at++) {
    const chunk = bytes.subarray(at * CHUNK_SIZE, (at + 1) * CHUNK_SIZE);
    values.push(hashChunk(chunk, first + at, 0));
  }
  return values;
}

function parent(left: Int32Array, right: Int32Array, flag: number): Int32Array {
  const block = new Int32Array(16);
  block.set(left);
  block.set(right, 8);
  const value = initial.slice();
  compress(value, block, 0, BLOCK_SIZE, flags.parent | flag);
  return value;
}

/** @param last flags of the last block beside its own */
function hashChunk(chunk: Uint8Array, counter: number, last: number): Int32Array {
  const value = initial.slice();
  const memory = new Uint8Array(BLOCK_SIZE);
  const view = viewOf(memory);
  const block = new Int32Array(16);
  let at = 0;
  do {
    const part = chunk.subarray(at, at + BLOCK_SIZE);
    memory.fill(0, part.length);
    memory.set(part);
    for (let word = 0; word < 16; word++) block[word] = view.getInt32(word * 4, true);
    const isLast = at + BLOCK_SIZE >= chunk.length;
    const flag = (at === 0 ? flags.chunkStart : 0) | (isLast ? flags.chunkEnd | last : 0);
    compress(value, block, counter, part.length, flag);
    at += BLOCK_SIZE;
  } while (at < chunk.length);
  return value;
}

function bytesOf(value: Int32Array): Uint8Array {
  const bytes = new Uint8Array(VALUE_SIZE);
  const view = viewOf(bytes);
  value.forEach((word, index) => {
    view.setInt32(index * 4, word, true);
  });
  return bytes;
}

type Hash = (...numbers: number[]) => void;

class Engine {
  readonly memory: Uint8Array;
  readonly hash: Hash;

  constructor() {
    const memory = new WebAssembly.Memory({
      initial: Math.ceil((INPUT + BATCH * CHUNK_SIZE) / 65536),
    });
    const module = new WebAssembly.Module(kernel());
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    this.hash = exports['hash'] as Hash;
    this.memory = new Uint8Array(memory.buffer);
  }

  /** Leaves the values of the first `count` chunks in the memory. */
  hashChunks(bytes: Uint8Array, count: number, first: number): void {
    this.memory.set(bytes.subarray(0, count * CHUNK_SIZE), INPUT);
    const { chunkStart, chunkEnd } = flags;
    const blocks = CHUNK_SIZE / BLOCK_SIZE;
    for (let at = 0; at < count; at += LANES) {
      const input = INPUT + at * CHUNK_SIZE;
      const output = VALUES + at * VALUE_SIZE;
      this.hash(input, CHUNK_SIZE, blocks, first + at, 1, chunkStart, chunkEnd, output);
    }
  }

  /** The value of a whole batch, whose chunks' values are there. */
  node(): Int32Array {
    let from = VALUES;
    let to = PARENTS;
    let count = BATCH;
    for (; count > LANES; count /= 2) {
      for (let at = 0; at < count / 2; at += LANES) {
        const input = from + at * BLOCK_SIZE;
        this.hash(input, BLOCK_SIZE, 1, 0, 0, flags.parent, 0, to + at * VALUE_SIZE);
      }
      [from, to] = [to, from];
    }
    const values = [0, 1, 2, 3].map((at) => this.value(from + at * VALUE_SIZE));
    return reduced(values, 1)[0]!;
  }

  value(at: number): Int32Array {
    const view = viewOf(this.memory);
    return Int32Array.from({ length: 8 }, (_, word) => view.getInt32(at + word * 4, true));
  }
}

let engine: Engine | undefined;
let refused = false;

function theEngine(): Engine | undefined {
  if (engine === undefined && !refused) {
    try {
      engine = new Engine();
    } catch {
      // Where a page's policy forbids WebAssembly.
      refused = true;
    }
  }
  return engine;
}
