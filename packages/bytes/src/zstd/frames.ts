import { AnoleError } from '../errors.ts';

/** Magic numbers (RFC 8878, 3.1): of a frame, and of one that decoders pass over, whose last four bits are free. */
const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const REPEATED = 1;
/** A header at most: magic, descriptor, window, dictionary, size. */
const MAX_HEADER = 18;

/** A part of a stream of frames. */
export interface ZstdPart {
  /** May alias what was given. */
  readonly bytes: Uint8Array;
  /** Whether it is of a frame that decoders pass over. */
  readonly isSkippable: boolean;
  /** Whether the frame ends with it. */
  readonly isLast: boolean;
}

type Step = 'magic' | 'header' | 'block' | 'data' | 'end';

/**
 * Tells where the frames of a zstd stream end, without decoding: by the sizes of their blocks. Source: RFC 8878, 3.1.
 */
export class ZstdFrames {
  private step: Step = 'magic';
  /** Bytes that a head needs, and those of it that have come. */
  private wanted = 4;
  private readonly head = new Uint8Array(MAX_HEADER);
  private have = 0;
  private left = 0;
  private isSkippable = false;
  private hasChecksum = false;
  private isLastBlock = false;

  /** Parts of the next bytes of the stream, none of which has bytes of two frames. */
  *push(chunk: Uint8Array): Generator<ZstdPart> {
    let start = 0;
    // What has come of a magic number was kept until it is known what it begins.
    let kept = this.step === 'magic' ? this.have : 0;
    for (let at = 0; at < chunk.length; ) {
      if (this.step === 'data') {
        const count = Math.min(this.left, chunk.length - at);
        at += count;
        this.left -= count;
      } else {
        const count = Math.min(this.wanted - this.have, chunk.length - at);
        this.head.set(chunk.subarray(at, at + count), this.have);
        this.have += count;
        at += count;
      }
      if (this.isInMiddle()) continue;
      const isDone = this.advance();
      if (kept > 0) {
        const bytes = this.head.slice(0, kept);
        yield { bytes, isSkippable: this.isSkippable, isLast: false };
        kept = 0;
      }
      if (!isDone) continue;
      yield { bytes: chunk.subarray(start, at), isSkippable: this.isSkippable, isLast: true };
      start = at;
      this.expect('magic', 4);
    }
    if (start < chunk.length && this.step !== 'magic') {
      yield { bytes: chunk.subarray(start), isSkippable: this.isSkippable, isLast: false };
    }
  }

  /** @throws AnoleError `ZSTD_DAMAGED` where the stream has ended within a frame */
  end(): void {
    if (this.step !== 'magic' || this.have > 0) throw damaged('it ends too early');
  }

  private isInMiddle(): boolean {
    return this.step === 'data' ? this.left > 0 : this.have < this.wanted;
  }

  /** What follows a head, or the data of a block, that has come whole. True where the frame has ended. */
  private advance(): boolean {
    switch (this.step) {
      case 'magic':
        return this.magic();
      case 'header':
        return this.header();
      case 'block':
        return this.block();
      case 'data':
        return this.behindData();
      case 'end':
        return true;
    }
  }

  private magic(): boolean {
    const magic = this.u32(0);
    this.isSkippable = magic >>> 4 === SKIPPABLE >>> 4;
    if (!this.isSkippable && magic !== MAGIC) throw damaged('a frame does not begin as one');
    // Of the one the size of what follows, of the other what says how long its header is.
    this.grow('header', this.isSkippable ? 8 : 5);
    return false;
  }

  private header(): boolean {
    if (this.isSkippable) {
      this.isLastBlock = true;
      this.hasChecksum = false;
      return this.data(this.u32(4));
    }
    const descriptor = this.head[4]!;
    const isSingle = (descriptor & 0x20) !== 0;
    const sizeCode = descriptor >> 6;
    const sizeBytes = sizeCode === 0 ? (isSingle ? 1 : 0) : 1 << sizeCode;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
    const length = 5 + (isSingle ? 0 : 1) + dictionaryBytes + sizeBytes;
    if (this.have < length) {
      this.grow('header', length);
      return false;
    }
    this.hasChecksum = (descriptor & 4) !== 0;
    this.expect('block', 3);
    return false;
  }

  private block(): boolean {
    const header = this.head[0]! | (this.head[1]! << 8) | (this.head[2]! << 16);
    this.isLastBlock = (header & 1) === 1;
    const kind = (header >> 1) & 3;
    return this.data(kind === REPEATED ? 1 : header >> 3);
  }

  private data(size: number): boolean {
    this.left = size;
    this.step = 'data';
    return size === 0 && this.behindData();
  }

  private behindData(): boolean {
    if (!this.isLastBlock) this.expect('block', 3);
    else if (this.hasChecksum) this.expect('end', 4);
    else return true;
    return false;
  }

  /** A head of which nothing has come. */
  private expect(step: Step, bytes: number): void {
    this.have = 0;
    this.grow(step, bytes);
  }

  private grow(step: Step, bytes: number): void {
    this.step = step;
    this.wanted = bytes;
  }

  private u32(at: number): number {
    return new DataView(this.head.buffer).getUint32(at, true);
  }
}

function damaged(reason: string): AnoleError {
  return new AnoleError('ZSTD_DAMAGED', `Cannot read the zstd stream: ${reason}`);
}
