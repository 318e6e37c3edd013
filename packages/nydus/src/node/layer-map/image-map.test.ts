import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { memorySource, type Source } from '@anole/bytes';
import { fetchAnyhow } from '../cache/remote-blob.ts';
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
      const device = mappedDevice(map, 'sha256:map', 'sha256:layer', stored, memorySource(before));
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
});
