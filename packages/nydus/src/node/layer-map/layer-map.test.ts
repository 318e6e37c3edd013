import assert from 'node:assert/strict';
import { createHash, hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { gzipSync, zstdDecompressSync } from 'node:zlib';
import { AnoleError, GzipSpanDecoder, memorySource, viewOf } from '@anole/bytes';
import { hostInflate } from '@anole/host';
import fc from 'fast-check';
import {
  MAP_FILE_SIZE,
  MAP_HEADER_SIZE,
  MAP_SPAN_SIZE,
  MapFile,
  MapHeader,
  MapSpan,
} from '../../layout/layer-map.ts';
import { GzipSpanMaker } from './gzip-spans.ts';
import { encodeMap, LayerMap, type MapContent } from './layer-map.ts';
import { mapSpans } from './map-spans.ts';

const SPAN = 64 * 1024;

/** Words of a small language: much of what follows repeats what was. */
function text(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = 7;
  for (let at = 0; at < size; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const word = `word${(state >>> 16) % 5000} `;
    for (const letter of Buffer.from(word)) if (at < size) bytes[at++] = letter;
  }
  return bytes;
}

/** Bytes that gzip makes nothing of. */
const noise = (size: number) => createHash('shake256', { outputLength: size }).update('x').digest();

/** What a layer decodes to, and the same as it is stored, by several writers. */
const layers: readonly (readonly [string, Uint8Array, Uint8Array])[] = (() => {
  const words = text(900_000);
  const mixed = Buffer.concat([words.subarray(0, 300_000), noise(200_000), words, noise(100)]);
  const halves = [mixed.subarray(0, 500_000), mixed.subarray(500_000)];
  // Of these a block has four megabytes.
  const zeros = new Uint8Array(20_000_000);
  return [
    ['words', words, gzipSync(words)],
    ['words, stored', words, gzipSync(words, { level: 0 })],
    ['words and noise', mixed, gzipSync(mixed, { level: 9 })],
    ['several members', mixed, Buffer.concat(halves.map((each) => gzipSync(each)))],
    ['zeros', zeros, gzipSync(zeros)],
    ['little', words.subarray(0, 1000), gzipSync(words.subarray(0, 1000))],
  ] as const;
})();

function made(stored: Uint8Array, pieces: readonly number[] = [stored.length]) {
  const maker = new GzipSpanMaker(SPAN);
  let at = 0;
  for (const size of pieces) {
    maker.push(stored.slice(at, at + size));
    at += size;
  }
  maker.push(stored.slice(at));
  return maker.finish();
}

describe('spans of a gzip layer', () => {
  for (const [name, bytes, stored] of layers) {
    it(`decode alone, with what is left of their windows: ${name}`, () => {
      const { spans, windows } = made(stored);
      const decoder = new GzipSpanDecoder({ inflate: hostInflate });
      for (const [at, { start, end, out, bits, digest }] of spans.entries()) {
        const size = (spans[at + 1]?.out ?? bytes.length) - out;
        const window = windows[at]!.length > 0 ? zstdDecompressSync(windows[at]!) : windows[at]!;
        const met = decoder.decode({ bits, window }, stored.subarray(start, end), 0, size);
        assert.ok(Buffer.from(met).equals(bytes.subarray(out, out + size)), `byte ${out}`);
        assert.equal(hash('sha256', met, 'hex'), Buffer.from(digest).toString('hex'));
        if (at > 0) assert.ok(out - spans[at - 1]!.out >= SPAN);
      }
      assert.ok(spans.length > 3 || bytes.length < SPAN, `${spans.length} spans`);
    });

    it(`are the same however the layer comes: ${name}`, () => {
      const whole = made(stored);
      const sizes = fc.array(fc.integer({ min: 0, max: 50_000 }), { maxLength: 40 });
      fc.assert(
        fc.property(sizes, (pieces) => assert.deepEqual(made(stored, pieces), whole)),
        { seed: 198, numRuns: 8 },
      );
      if (stored.length < 20_000)
        assert.deepEqual(made(stored, Array(stored.length).fill(1)), whole);
    });
  }

  it('have windows of which only what is used is left', () => {
    const [, bytes, stored] = layers[0]!;
    const { spans, windows } = made(stored);
    for (const [at, { out }] of spans.entries()) {
      if (at === 0) assert.equal(windows[at]!.length, 0);
      else {
        const window = zstdDecompressSync(windows[at]!);
        const full = bytes.subarray(out - window.length, out);
        const left = window.filter((byte, place) => byte === full[place] && byte !== 0).length;
        assert.ok(window.every((byte, place) => byte === 0 || byte === full[place]));
        assert.ok(left > 0 && left < window.length, `${left} bytes`);
      }
    }
    // Stored blocks refer to nothing.
    const { windows: none } = made(layers[1]![2]);
    assert.ok(none.length > 3 && none.every(({ length }) => length === 0));
  });

  it('are not made of a stream that is damaged, or cut off', () => {
    const [, , stored] = layers[0]!;
    assert.throws(() => made(stored.subarray(0, -9)), { code: 'GZIP_DAMAGED' });
    const changed = Uint8Array.from(stored);
    changed[stored.length - 6]! ^= 1;
    assert.throws(() => made(changed), { code: 'GZIP_DAMAGED' });
  });
});

function content(): MapContent & { readonly windows: Uint8Array; readonly stored: Uint8Array } {
  const [, bytes, stored] = layers[2]!;
  const { spans, windows } = made(stored);
  const files = [
    { start: 512, size: 100_000 },
    { start: 101_376, size: 1 },
    { start: 200_000, size: bytes.length - 200_000 },
  ];
  const sizes = { storedSize: stored.length, size: bytes.length };
  return { codec: 'gzip', ...sizes, files, spans, windows: Buffer.concat(windows), stored };
}

describe('maps of layers', () => {
  it('are read as they were written', () => {
    const { windows, ...wanted } = content();
    const map = new LayerMap(encodeMap(wanted));
    assert.equal(map.windowsSize, windows.length);
    assert.deepEqual(
      [map.codec, map.storedSize, map.size],
      ['gzip', wanted.storedSize, wanted.size],
    );
    assert.deepEqual(
      Array.from(map.starts, (start, at) => ({ start, size: map.ends[at]! - start })),
      wanted.files,
    );
    assert.deepEqual(
      wanted.spans.map((_, number) => map.span(number)),
      wanted.spans.map((span) => ({ ...span, digest: new Uint8Array(span.digest) })),
    );
  });

  const first = MAP_HEADER_SIZE;
  const spansAt = MAP_HEADER_SIZE + 3 * MAP_FILE_SIZE;
  const second = spansAt + MAP_SPAN_SIZE;
  type Change = (view: DataView) => void;
  const wrong: Readonly<Record<string, readonly [Change, offset: number]>> = {
    'another magic': [(view) => view.setUint8(0, 0), 0],
    'more spans than it has': [(view) => view.setUint32(MapHeader.offsets.spans, 1e9, true), 8],
    'more files': [(view) => view.setUint32(MapHeader.offsets.files, 4, true), 8],
    'files that overlap': [(view) => (MapFile.at(view, first + 16).start = 600), first + 16],
    'a file outside': [(view) => (MapFile.at(view, first + 32).size = 1e9), first + 32],
    'a file of nothing': [(view) => (MapFile.at(view, first).size = 0), first],
    'a first span that is not the first': [(view) => (MapSpan.at(view, spansAt).out = 1), spansAt],
    'a span outside of the layer': [(view) => (MapSpan.at(view, second).end = 1e9), second],
    'a span outside of the archive': [(view) => (MapSpan.at(view, second).out = 1e9), second],
    'a span that ends before it begins': [(view) => (MapSpan.at(view, second).end = 5), second],
    'spans that overlap': [
      (view) => {
        MapSpan.at(view, second).start = MapSpan.at(view, spansAt).end - 2;
      },
      second,
    ],
    'a span too short for a window': [(view) => (MapSpan.at(view, second).out = 1000), second],
    'nine bits': [(view) => (MapSpan.at(view, second).bits = 9), second],
    'a window of a megabyte': [(view) => (MapSpan.at(view, second).window = 1 << 20), second],
    'windows that do not add up': [(view) => (MapSpan.at(view, second).window += 1), 32],
  };
  for (const [what, [change, offset]] of Object.entries(wrong)) {
    it(`are refused with ${what}`, () => {
      const bytes = encodeMap(content());
      change(viewOf(bytes));
      assert.throws(
        () => new LayerMap(bytes),
        (error) => {
          assert.ok(AnoleError.is(error));
          assert.deepEqual([error.code, error.details['offset']], ['OCI_BAD_INDEX', offset]);
          return true;
        },
      );
    });
  }

  it('of what a later version says more are not understood', () => {
    for (const place of [MapHeader.offsets.version, MapHeader.offsets.codec]) {
      const bytes = encodeMap(content());
      bytes[place] = 9;
      assert.throws(() => new LayerMap(bytes), { code: 'OCI_UNSUPPORTED' });
    }
  });

  it('whatever their bytes are, end with a coded error or a map whose spans can be asked for', async () => {
    const { windows, stored, ...wanted } = content();
    const whole = encodeMap(wanted);
    const places = fc.nat(whole.length - 1);
    await fc.assert(
      fc.asyncProperty(places, fc.uint8Array({ minLength: 1, maxLength: 9 }), async (at, bytes) => {
        const damaged = Uint8Array.from(whole);
        damaged.set(bytes.subarray(0, damaged.length - at), at);
        try {
          const map = new LayerMap(damaged);
          const spans = mapSpans(map, memorySource(windows));
          for (let number = 0; number < spans.count; number++) {
            const { start, end, out } = spans.at(number);
            const next = number + 1 < spans.count ? spans.at(number + 1).out : spans.size;
            const window = await spans.windowOf!(number, {});
            if (next - out < 1e7)
              spans.decode(number, stored.subarray(start, end), next - out, window);
          }
        } catch (error) {
          assert.ok(AnoleError.is(error), String(error));
        }
      }),
      { seed: 198, numRuns: 600 },
    );
  });
});
