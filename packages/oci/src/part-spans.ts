import type { Spans } from '@anole/bytes';
import type { LayerParts, PartSpan } from './layer-index.ts';

/** Bytes of a SHA-256. */
const DIGEST = 32;
/** Numbers of a span: its first byte, where it is stored, bytes of others before it. */
const NUMBERS = 4;
const digits = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));

/**
 * The parts of a layer in columns: there may be hundreds of thousands of them, and images stay open for months. Of what
 * they are made of nothing is kept.
 */
export class PartSpans implements Spans {
  readonly size: number;
  readonly count: number;
  readonly #numbers: Float64Array;
  readonly #digests: Digests;
  readonly #storedDigests: Digests;
  readonly #decode: LayerParts['decode'];

  /** @param size bytes of all, decompressed */
  constructor({ spans, decode }: LayerParts, size: number) {
    this.size = size;
    this.count = spans.length;
    this.#decode = decode;
    this.#numbers = new Float64Array(spans.length * NUMBERS);
    this.#digests = new Digests(spans.map(({ digest }) => digest));
    this.#storedDigests = new Digests(spans.map(({ storedDigest }) => storedDigest));
    for (const [index, { out, start, end, inner = 0 }] of spans.entries()) {
      this.#numbers.set([out, start, end, inner], index * NUMBERS);
    }
  }

  at(index: number): PartSpan {
    return new Part(this.#numbers, this.#digests, this.#storedDigests, index);
  }

  isVerified(index: number): boolean {
    return this.#digests.has(index) || this.#storedDigests.has(index);
  }

  decode(index: number, bytes: Uint8Array, from: number, length: number): Uint8Array {
    const at = index * NUMBERS;
    const end = index + 1 < this.count ? this.#numbers[at + NUMBERS]! : this.size;
    const whole = this.#decode(bytes, end - this.#numbers[at]!, this.#numbers[at + 3]!);
    return whole.subarray(from, from + length);
  }
}

/** One part. Most who ask for one want its place only. */
class Part implements PartSpan {
  readonly out: number;
  readonly start: number;
  readonly end: number;
  readonly inner: number;
  readonly #digests: Digests;
  readonly #storedDigests: Digests;
  readonly #index: number;

  constructor(numbers: Float64Array, digests: Digests, storedDigests: Digests, index: number) {
    const at = index * NUMBERS;
    this.out = numbers[at]!;
    this.start = numbers[at + 1]!;
    this.end = numbers[at + 2]!;
    this.inner = numbers[at + 3]!;
    this.#digests = digests;
    this.#storedDigests = storedDigests;
    this.#index = index;
  }

  get digest(): string | undefined {
    return this.#digests.at(this.#index);
  }

  get storedDigest(): string | undefined {
    return this.#storedDigests.at(this.#index);
  }
}

/** SHA-256s, of which some may be missing. */
class Digests {
  readonly #bytes: Uint8Array;
  readonly #isThere: Uint8Array;

  /** @param digests in hexadecimal, lower case */
  constructor(digests: readonly (string | undefined)[]) {
    const count = digests.some((digest) => digest !== undefined) ? digests.length : 0;
    this.#bytes = new Uint8Array(count * DIGEST);
    this.#isThere = new Uint8Array(count);
    for (let index = 0; index < count; index++) {
      const digest = digests[index];
      if (digest === undefined) continue;
      this.#isThere[index] = 1;
      for (let byte = 0; byte < DIGEST; byte++) {
        const high = digitOf(digest.charCodeAt(2 * byte));
        this.#bytes[index * DIGEST + byte] = high * 16 + digitOf(digest.charCodeAt(2 * byte + 1));
      }
    }
  }

  has(index: number): boolean {
    return this.#isThere[index] === 1;
  }

  at(index: number): string | undefined {
    if (!this.has(index)) return undefined;
    const codes = new Uint8Array(2 * DIGEST);
    for (let at = 0; at < DIGEST; at++) {
      const byte = this.#bytes[index * DIGEST + at]!;
      codes[2 * at] = digits[byte >> 4]!;
      codes[2 * at + 1] = digits[byte & 15]!;
    }
    return String.fromCharCode(...codes);
  }
}

/** Of a hexadecimal digit, by its code: `0` is 48, `a` is 97. */
function digitOf(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}
