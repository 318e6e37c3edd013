import { type Checksum, crc32 } from '../checksum.ts';
import { AnoleError } from '../errors.ts';
import { type InflateStart, InflateStream } from '../inflate/stream.ts';

/** Bytes of a member's header, its name and comment included, at most. */
const MAX_HEADER = 64 * 1024;
const TRAILER = 8;
/** Source: RFC 1952, 2.3.1. */
const flag = { headerCrc: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 } as const;

export interface GunzipOptions {
  /** CRC-32, where there is a faster one than {@link crc32}. */
  readonly checksum?: Checksum;
}

const nothing = new Uint8Array(0);

/**
 * A gzip stream of one or more members, decoded as it comes, checksums verified; or from a boundary
 * between two blocks of it on. Source: RFC 1952.
 *
 * @throws AnoleError `GZIP_DAMAGED`, `DEFLATE_DAMAGED` in `read` and `end`
 */
export class GunzipStream {
  /** `read` leaves off at the first boundary between blocks where `produced` is so much or more. */
  stopAt: number = Number.POSITIVE_INFINITY;
  /** Whether `read` leaves off before the first block of each member, too. */
  stopsAtMembers = false;
  private readonly inflater = new InflateStream();
  private readonly checksum: Checksum;
  private written = 0;
  private work: Generator<Uint8Array, void>;
  private isBetween = true;
  private isAtMember = false;

  constructor({ checksum = crc32 }: GunzipOptions = {}) {
    this.checksum = checksum;
    this.work = this.members();
  }

  /**
   * Begins anew: at the start of a stream, or where a decoder once stood. Of the member that is begun
   * in its middle the checksum is not known.
   */
  start(from?: InflateStart): void {
    this.inflater.start(from);
    this.written = 0;
    this.stopAt = Number.POSITIVE_INFINITY;
    this.isBetween = from === undefined;
    this.work = from ? this.fromMiddle() : this.members();
  }

  /** Gives it the next bytes of the input, which must not change until `read` gives nothing. */
  write(input: Uint8Array): void {
    this.written += input.length;
    this.inflater.write(input);
  }

  /** The next bytes of the output, valid until the next call. None where more input is needed, or at `stopAt`. */
  read(): Uint8Array {
    this.inflater.stopAt = this.stopAt;
    return this.work.next().value ?? nothing;
  }

  /** Says that the input has ended. */
  end(): void {
    if (this.isBetween && this.inflater.unused === 0 && this.written > 0) return;
    throw damaged('it ends too early');
  }

  /** Bytes given out since the start. */
  get produced(): number {
    return this.inflater.produced;
  }

  /** Whole bytes of the input that are used. */
  get consumed(): number {
    return this.written - this.inflater.unused;
  }

  /** Whether `read` gave nothing because of `stopAt` or `stopsAtMembers`. */
  get atBoundary(): boolean {
    return this.isAtMember || this.inflater.atBoundary;
  }

  /** Where it stands at a boundary: for `start`. */
  position(): InflateStart {
    return this.inflater.position();
  }

  private *members(): Generator<Uint8Array, void> {
    for (;;) {
      while (this.inflater.unused === 0) yield nothing;
      this.isBetween = false;
      yield* this.header();
      this.inflater.restart();
      if (this.stopsAtMembers) {
        this.isAtMember = true;
        yield nothing;
        this.isAtMember = false;
      }
      const begin = this.inflater.produced;
      let crc = 0;
      for (const piece of this.blocks()) {
        crc = this.checksum(piece, crc);
        yield piece;
      }
      const trailer = viewOf(yield* this.take(TRAILER));
      if (trailer.getUint32(0, true) !== crc) throw damaged('its checksum is wrong');
      const size = (this.inflater.produced - begin) % 2 ** 32;
      if (trailer.getUint32(4, true) !== size) throw damaged('its length is wrong');
      this.isBetween = true;
    }
  }

  private *fromMiddle(): Generator<Uint8Array, void> {
    yield* this.blocks();
    yield* this.take(TRAILER);
    this.isBetween = true;
    yield* this.members();
  }

  /** What the blocks of one member give; nothing says that more input is needed, or a boundary met. */
  private *blocks(): Generator<Uint8Array, void> {
    while (!this.inflater.ended) {
      const piece = this.inflater.read();
      if (piece.length > 0 || !this.inflater.ended) yield piece;
    }
  }

  private *header(): Generator<Uint8Array, void> {
    const fixed = yield* this.take(10);
    if (fixed[0] !== 0x1f || fixed[1] !== 0x8b) throw damaged('a member is no gzip');
    if (fixed[2] !== 8) throw damaged(`it has the method ${fixed[2]}`);
    const flags = fixed[3]!;
    if (flags & flag.reserved) throw damaged('it has unknown flags');
    if (flags & flag.extra) {
      const length = yield* this.take(2);
      yield* this.take(viewOf(length).getUint16(0, true));
    }
    if (flags & flag.name) yield* this.text();
    if (flags & flag.comment) yield* this.text();
    if (flags & flag.headerCrc) yield* this.take(2);
  }

  private *text(): Generator<Uint8Array, void> {
    for (let length = 0; length < MAX_HEADER; length++) {
      if ((yield* this.take(1))[0] === 0) return;
    }
    throw damaged('its header is too long');
  }

  private *take(count: number): Generator<Uint8Array, Uint8Array> {
    const bytes = new Uint8Array(count);
    for (let have = 0; have < count; ) {
      const part = this.inflater.take(count - have);
      bytes.set(part, have);
      have += part.length;
      if (part.length === 0) yield nothing;
    }
    return bytes;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function damaged(reason: string): AnoleError {
  return new AnoleError('GZIP_DAMAGED', `Cannot decode the gzip stream: ${reason}`);
}
