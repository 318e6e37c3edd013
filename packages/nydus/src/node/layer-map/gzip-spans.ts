import { createHash, type Hash } from 'node:crypto';
import { crc32, zstdCompressSync } from 'node:zlib';
import { GunzipStream } from '@anole/bytes';
import type { MappedSpan } from './layer-map.ts';
import { type Beginning, WindowUse } from './window-use.ts';

/**
 * Bytes of the archive in a span, at least: spans end where blocks of the stream do, which have some 70 KB each.
 * See docs/decisions/0198-a-map-of-each-layer.md.
 */
export const SPAN = 256 * 1024;
/** Bytes of the stream from which what is used of a window is found: most have far fewer for 32 KiB. */
const LOOKED = 64 * 1024;

/** A span that has begun. */
interface Begun extends Beginning {
  readonly start: number;
  readonly out: number;
}

/** Finds the spans of a gzip layer while it streams by. */
export class GzipSpanMaker {
  readonly #span: number;
  readonly #gunzip = new GunzipStream({ checksum: crc32 });
  readonly #use = new WindowUse();
  readonly #spans: MappedSpan[] = [];
  readonly #windows: Uint8Array[] = [];
  #begun: Begun | undefined;
  #hash: Hash = createHash('sha256');
  /** What is stored from the beginning of the span on, as much as is looked at. */
  #looked: Uint8Array[] = [];
  #lookedSize = 0;
  #written = 0;
  #before = 0;

  /** @param span bytes of a span, at least: 32 KiB or more */
  constructor(span: number = SPAN) {
    this.#span = span;
    this.#gunzip.stopAt = 0;
  }

  /** Takes the next bytes of the layer. @throws AnoleError `GZIP_DAMAGED`, `DEFLATE_DAMAGED` */
  push(chunk: Uint8Array): void {
    const at = this.#written;
    this.#written += chunk.length;
    this.#gunzip.write(chunk);
    let from = 0;
    for (;;) {
      const piece = this.#gunzip.read();
      if (piece.length > 0) this.#hash.update(piece);
      if (this.#gunzip.atBoundary) {
        const place = this.#gunzip.consumed - at;
        this.#look(chunk.subarray(from, place));
        this.#end(this.#gunzip.consumed);
        this.#begin(chunk, place);
        from = place;
      } else if (piece.length === 0) break;
    }
    this.#look(chunk.subarray(from));
    this.#before = chunk.at(-1) ?? this.#before;
  }

  /** @throws AnoleError `GZIP_DAMAGED` where the stream is not whole */
  finish(): { readonly spans: readonly MappedSpan[]; readonly windows: readonly Uint8Array[] } {
    this.#gunzip.end();
    this.#end(this.#written);
    return { spans: this.#spans, windows: this.#windows };
  }

  #begin(chunk: Uint8Array, place: number): void {
    const { bits, window } = this.#gunzip.position();
    const { consumed, produced } = this.#gunzip;
    this.#begun = { bits, window, start: consumed - (bits > 0 ? 1 : 0), out: produced };
    this.#gunzip.stopAt = produced + this.#span;
    this.#hash = createHash('sha256');
    this.#looked = [];
    this.#lookedSize = 0;
    const before = place > 0 ? chunk[place - 1]! : this.#before;
    if (bits > 0) this.#look(Uint8Array.of(before));
  }

  #look(stored: Uint8Array): void {
    if (this.#lookedSize >= LOOKED) return;
    // The next chunk may take this one's memory.
    const part = stored.slice(0, LOOKED - this.#lookedSize);
    this.#looked.push(part);
    this.#lookedSize += part.length;
  }

  #end(end: number): void {
    const begun = this.#begun;
    const size = this.#gunzip.produced - (begun?.out ?? 0);
    // A stream may have nothing behind its last block.
    if (begun === undefined || size === 0) return;
    const { bits, start, out } = begun;
    const used = this.#use.usedOf(begun, Buffer.concat(this.#looked), size);
    const window = used.length > 0 ? zstdCompressSync(used) : used;
    this.#windows.push(window);
    const digest = this.#hash.digest();
    this.#spans.push({ start, end, out, bits, window: window.length, digest });
  }
}
