import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { memorySource, type Source } from '@anole/bytes';
import { BlobCache } from '../cache/cache.ts';
import { fetchAnyhow } from '../cache/remote-blob.ts';
import { BlobPool } from '../on-demand/blob-pool.ts';
import { GzipSpanMaker } from './gzip-spans.ts';
import { mappedDevice } from './image-map.ts';
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
