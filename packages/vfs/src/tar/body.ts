import { type Awaitable, chain, isPromise } from '@anole/bytes';
import type { Extent } from '../tree.ts';
import { TarError } from './errors.ts';
import { concatenate, type TarInput } from './input.ts';
import { BLOCK } from './layout.ts';

/** Bytes of a chunk of a body at most. */
const CHUNK = 1024 * 1024;

/** Bytes after `size` up to the next block. */
export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** The stored bytes of one entry, while the input stands in them. */
export class Body {
  private left: number;
  private readonly pad: number;
  private readonly input: TarInput;
  private gone = false;

  constructor(input: TarInput, size: number) {
    this.input = input;
    this.left = size;
    this.pad = padding(size);
  }

  /** The next piece of at most `limit` bytes, undefined when all is read. */
  next(limit: number): Awaitable<Uint8Array | undefined> {
    if (this.gone)
      throw new TarError('TAR_BODY_GONE', 'Cannot read a tar member: the reader is past it');
    if (this.left === 0) return undefined;
    return chain(this.input.some(Math.min(limit, this.left, CHUNK)), (piece) => {
      if (piece === undefined) throw this.truncated();
      this.left -= piece.length;
      return piece;
    });
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = this.next(CHUNK);
      const piece = isPromise(next) ? await next : next;
      if (piece === undefined) return;
      yield piece;
    }
  }

  /** Everything that is left, as one piece. */
  all(): Awaitable<Uint8Array> {
    const first = this.next(CHUNK);
    if (isPromise(first)) return first.then((piece) => this.join(piece));
    return this.left === 0 ? (first ?? new Uint8Array(0)) : this.join(first);
  }

  /** Goes to the next header. */
  finish(): Awaitable<void> {
    this.gone = true;
    // Some writers end without the last padding.
    return this.input.skip(this.left, this.pad);
  }

  private async join(first: Uint8Array | undefined): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (let piece = first; piece !== undefined; piece = await this.next(CHUNK)) {
      parts.push(this.input.lent ? new Uint8Array(piece) : piece);
      length += piece.length;
    }
    return parts.length === 1 ? parts[0]! : concatenate(parts, length);
  }

  private truncated(): TarError {
    return new TarError(
      'TAR_TRUNCATED',
      `Cannot read a tar member: ${this.left} of its bytes are missing`,
      {
        hint: 'The archive is cut short; fetch it again.',
      },
    );
  }
}

const zeros = new Uint8Array(64 * 1024);

/** The bytes of a sparse file with its holes. */
export async function* fillHoles(
  body: Body,
  extents: readonly Extent[],
  size: number,
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const { offset, length } of extents) {
    yield* holes(offset - at);
    for (let left = length; left > 0; ) {
      const piece = await body.next(left);
      if (piece === undefined) return;
      left -= piece.length;
      yield piece;
    }
    at = offset + length;
  }
  yield* holes(size - at);
}

function* holes(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= zeros.length) {
    yield left < zeros.length ? zeros.subarray(0, left) : zeros;
  }
}
