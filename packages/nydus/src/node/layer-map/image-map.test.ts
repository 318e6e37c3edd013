import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { memorySource, type Source } from '@anole/bytes';
import { BlobCache } from '../cache/cache.ts';
import { fetchAnyhow } from '../cache/remote-blob.ts';
import { BlobPool } from '../on-demand/blob-pool.ts';
import { GzipSpanMaker } from './gzip-spans.ts';
import { mappedDevice, Room, unpackMap, unpackNames } from './image-map.ts';
import { encodeMap, LayerMap } from './layer-map.ts';

/** Lines of which each refers to those before it. */
const archive = Buffer.from(
  Array.from({ length: 20_000 }, (_, line) => `line ${line}: ${(line * 7919) % 4001}\n`).join(''),
);
const layer = gzipSync(archive);
const maker = new GzipSpanMaker(32 * 1024);
maker.push(layer);
const { spans, windows } = maker.finish();
const before = Buffer.concat(windows);

const digests = { map: { digest: 'sha256:map' }, windows: { digest: 'sha256:windows' } };

function gzipMap(): LayerMap {
  const sizes = { storedSize: layer.length, size: archive.length };
  return new LayerMap(
    encodeMap({ codec: 'gzip', ...sizes, files: [{ start: 0, size: archive.length }], spans }),
  );
}

describe('a layer as a device, by its map', () => {
  it('is asked for elsewhere, whatever bit of it is wrong', async () => {
    const map = gzipMap();
    let passed = 0;
    for (let bit = 0; bit < layer.length * 8; bit += 18_269) {
      const wrong = Uint8Array.from(layer);
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      let serves = wrong;
      const stored: Source = {
        size: layer.length,
        read: (offset, length) => serves.slice(offset, offset + length),
      };
      const device = mappedDevice(map, digests, 'sha256:layer', stored, memorySource(before));
      const distrust = () => {
        passed++;
        serves = layer;
      };
      const remote = { ...device, distrust };
      const signal = new AbortController().signal;
      const came = await fetchAnyhow(remote, 0, device.chunks.count, signal);
      assert.ok(archive.equals(came.subarray(0, archive.length)), `bit ${bit}`);
    }
    assert.ok(passed > 12, `${passed} were met`);
  });

  it('is refused where a span is stored in more than it can need', () => {
    const span = { start: 0, out: 0, bits: 0, window: 0, digest: new Uint8Array(32) };
    const mapOf = (codec: 'none' | 'gzip' | 'zstd', end: number, size = 8192) =>
      new LayerMap(
        encodeMap({
          codec,
          storedSize: 2e10,
          size,
          files: [{ start: 0, size }],
          spans: [{ ...span, end }],
        }),
      );
    for (const codec of ['none', 'gzip', 'zstd'] as const) {
      assert.equal(mapOf(codec, 8192).spans, 1);
      for (const end of [81_921, 2e10]) {
        const wanted = { code: 'OCI_BAD_INDEX', details: { offset: 56 } };
        assert.throws(() => mapOf(codec, end), wanted, `${codec} ${end}`);
      }
    }
    assert.throws(() => mapOf('none', 8191), { code: 'OCI_BAD_INDEX' });
  });

  it('is refused with more files or spans than its archive can have', () => {
    const content = { codec: 'none', storedSize: 1000, size: 1000, files: [], spans: [] } as const;
    const digest = new Uint8Array(32);
    const files = Array.from({ length: 100 }, (_, start) => ({ start, size: 1 }));
    const spans = Array.from({ length: 100 }, (_, out) => {
      const end = out < 99 ? out + 1 : 1000;
      return { start: out, end, out, bits: 0, window: 0, digest };
    });
    const whole = [{ ...spans[0]!, end: 1000 }];
    const refused = (map: Parameters<typeof encodeMap>[0], offset: number) =>
      assert.throws(() => new LayerMap(encodeMap(map)), {
        code: 'OCI_BAD_INDEX',
        details: { offset },
      });
    refused({ ...content, files, spans: whole }, 8);
    refused({ ...content, spans }, 12);
  });

  it('is asked for in pieces of a bounded size', async () => {
    const SIZE = 1024 * 1024;
    const zeros = new Uint8Array(SIZE);
    const digest = createHash('sha256').update(zeros).digest();
    const spans = Array.from({ length: 100 }, (_, at) => {
      return { start: at * SIZE, end: (at + 1) * SIZE, out: at * SIZE, bits: 0, window: 0, digest };
    });
    const files = spans.map(({ start }) => ({ start, size: 1 }));
    const size = 100 * SIZE;
    const map = new LayerMap(encodeMap({ codec: 'none', storedSize: size, size, files, spans }));
    let [underWay, most, largest] = [0, 0, 0];
    const stored: Source = {
      size,
      async read(_, length) {
        underWay += length;
        most = Math.max(most, underWay);
        largest = Math.max(largest, length);
        await setImmediate();
        underWay -= length;
        return new Uint8Array(length);
      },
    };
    const none = memorySource(new Uint8Array(0));
    const device = mappedDevice(map, { map: digests.map }, 'sha256:layer', stored, none);
    assert.equal((await device.fetch(0, 100, {})).length, 100 * 4096);
    assert.ok(largest <= 16 * SIZE && most <= 64 * SIZE, `${largest} and ${most} bytes`);
  });

  it('gives others a turn while it decodes', async () => {
    const SIZE = 1024 * 1024;
    const zeros = new Uint8Array(SIZE);
    const digest = createHash('sha256').update(zeros).digest();
    const spans = Array.from({ length: 16 }, (_, at) => {
      return { start: at * SIZE, end: (at + 1) * SIZE, out: at * SIZE, bits: 0, window: 0, digest };
    });
    const size = 16 * SIZE;
    const files = [{ start: 0, size }];
    const map = new LayerMap(encodeMap({ codec: 'none', storedSize: size, size, files, spans }));
    const stored = memorySource(new Uint8Array(size));
    const none = memorySource(new Uint8Array(0));
    const device = mappedDevice(map, { map: digests.map }, 'sha256:layer', stored, none);
    const turns = async () => {
      let count = 0;
      for (let isDone = false; !isDone; count++) {
        isDone = await Promise.race([fetched.then(() => true), setImmediate(false)]);
      }
      return count;
    };
    const fetched = device.fetch(0, 16, {});
    assert.ok((await turns()) >= 4);
    assert.equal((await fetched).length, size);
  });

  it('is another one with other windows: who had wrong ones first leaves nothing to who has the right', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'windows-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const pool = new BlobPool(new BlobCache(dir));
    const deviceWith = (windows: Uint8Array, digest: string) =>
      mappedDevice(
        gzipMap(),
        { ...digests, windows: { digest } },
        'sha256:layer',
        memorySource(layer),
        memorySource(windows),
      );
    const wrong = await pool.open(deviceWith(new Uint8Array(before.length), 'sha256:zeros'));
    const right = await pool.open(deviceWith(before, 'sha256:windows'));
    const at = right.chunks.offsetOf(3);
    const came = await right.read(at, 100);
    assert.ok(archive.subarray(at, at + 100).equals(came));
    await pool.release(wrong);
    await pool.release(right);
  });
});

describe('what is unpacked for one image', () => {
  it('has a bounded size, all together', async () => {
    const room = new Room();
    room.left = 10_000;
    const names = await unpackNames(zstdCompressSync(new Uint8Array(9000)), room);
    assert.equal(names.length, 9000);
    const second = zstdCompressSync(new Uint8Array(2000));
    for (const unpack of [unpackNames, unpackMap]) {
      await assert.rejects(unpack(second, room), { code: 'OCI_TOO_LARGE' });
    }
  });

  it('is counted where parts come side by side', async () => {
    const room = new Room();
    room.left = 10_000;
    const part = zstdCompressSync(new Uint8Array(6000));
    const [first, second] = await Promise.allSettled([
      unpackNames(part, room),
      unpackNames(part, room),
    ]);
    assert.deepEqual([first.status, second.status], ['fulfilled', 'rejected']);
    assert.equal(room.left, 4000);
  });

  it('is refused before it is fetched, where all parts together are stored in too much', () => {
    const room = new Room();
    const size = 100 * 1024 * 1024;
    for (const digest of ['sha256:1', 'sha256:2']) room.take({ digest, size });
    assert.throws(() => room.take({ digest: 'sha256:3', size }), { code: 'OCI_TOO_LARGE' });
  });
});
